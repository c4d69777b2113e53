"""Files of labelme: the shapes of one image."""

import base64
import io
from pathlib import Path
from typing import Any

import numpy as np

from .._utils.foreign_files import FileError
from .._utils.pictures import decode_picture
from ._shapes import Drawing, Shape, check_image, ellipse, pixels, polygon, rectangle


def read_labelme(path: Path, content: dict[str, Any]) -> Drawing:
    """Return the shapes of a file of labelme.

    Parameters
    ----------
    path : pathlib.Path
        The file.
    content : dict
        What it holds.

    Returns
    -------
    Drawing

    Raises
    ------
    ValueError
        If the size of the image is missing, or a shape is not known.
    """
    height, width = content.get("imageHeight"), content.get("imageWidth")
    if not height or not width:
        raise FileError(
            f"{path}: expected imageHeight and imageWidth, got {height} and {width}; "
            "open the file in labelme and save it again."
        )
    size = check_image(path, path.stem, height, width)
    shapes = [_read_shape(path, shape) for shape in content["shapes"]]
    return Drawing(str(path), path.stem, size, shapes)


def _read_shape(path: Path, shape: dict[str, Any]) -> Shape:
    label, kind = str(shape["label"]), shape.get("shape_type") or "polygon"
    points = np.asarray(shape["points"], dtype=np.float64).reshape(-1, 2)
    if kind == "polygon":
        return polygon(label, points)
    if kind == "rectangle":
        (left, top), (right, bottom) = points.min(axis=0), points.max(axis=0)
        return rectangle(label, left, top, right - left, bottom - top)
    if kind == "circle":
        radius = float(np.linalg.norm(points[1] - points[0]))
        x, y = points[0]
        return ellipse(label, x, y, radius, radius)
    if kind in ("line", "linestrip"):
        return Shape(label, "line", points)
    if kind in ("point", "points"):
        return Shape(label, "points", points)
    if kind == "mask":
        file = io.BytesIO(base64.b64decode(shape["mask"]))
        with decode_picture(file, path, ["PNG"], "save it again") as picture:
            inside = np.array(picture.convert("L")) > 0
        column, row = points.min(axis=0).astype(int)
        return pixels(label, inside, (int(row), int(column)))
    raise FileError(
        f"{path}: expected polygons, rectangles, circles, lines, points or masks, got "
        f"a shape of type {kind!r}; remove it, or draw it as a polygon."
    )
