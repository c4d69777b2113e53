"""Files of COCO: polygons and run lengths of many images."""

from pathlib import Path
from typing import Any

import numpy as np

from .._utils.foreign_files import FileError
from ._runs import decode_coco, decode_runs
from ._shapes import Drawing, Shape, check_image, pixels, polygon, rectangle


def read_coco(path: Path, content: dict[str, Any]) -> list[Drawing]:
    """Return the objects of all images of a file in the format of COCO.

    Parameters
    ----------
    path : pathlib.Path
        The file.
    content : dict
        What it holds.

    Returns
    -------
    list of Drawing
        Every class has the number of its category.

    Raises
    ------
    ValueError
        If the run lengths of an object do not fit its image.
    """
    names = {c["id"]: str(c["name"]) for c in content.get("categories", [])}
    shapes: dict[Any, list[Shape]] = {image["id"]: [] for image in content["images"]}
    sizes = {
        image["id"]: check_image(path, image["id"], image["height"], image["width"])
        for image in content["images"]
    }
    for annotation in content["annotations"]:
        image, category = annotation["image_id"], annotation["category_id"]
        name = names.setdefault(category, str(category))
        try:
            shapes[image] += _read_shapes(name, annotation, sizes[image])
        except ValueError as error:
            raise FileError(
                f"{path}: annotation {annotation.get('id')}: {error}; export it again."
            ) from error
    numbers = {name: int(category) for category, name in names.items()}
    return [
        Drawing(
            str(path),
            str(image["file_name"]),
            sizes[image["id"]],
            shapes[image["id"]],
            numbers,
        )
        for image in content["images"]
    ]


def _read_shapes(
    name: str, annotation: dict[str, Any], size: tuple[int, int]
) -> list[Shape]:
    segmentation = annotation.get("segmentation")
    if not segmentation:
        return [rectangle(name, *annotation["bbox"])]
    if isinstance(segmentation, list):
        return [polygon(name, part) for part in segmentation]
    runs, (height, width) = segmentation["counts"], segmentation.get("size", size)
    if (height, width) != size:
        raise ValueError(
            f"expected run lengths of an image of {size}, got {(height, width)}"
        )
    if isinstance(runs, str):
        runs = decode_coco(runs)
    # COCO goes column by column.
    inside = decode_runs(runs, height * width).reshape(width, height).T
    return [pixels(name, np.ascontiguousarray(inside))]
