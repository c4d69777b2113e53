"""Files of CVAT: "CVAT for images 1.1"."""

from pathlib import Path
from xml.etree.ElementTree import Element

import numpy as np
from numpy.typing import NDArray

from .._utils.foreign_files import FileError
from ._runs import decode_runs
from ._shapes import (
    Drawing,
    Shape,
    check_image,
    ellipse,
    pixels,
    polygon,
    rectangle,
    turn,
)


def read_cvat(path: Path, root: Element) -> list[Drawing]:
    """Return the shapes of all images of a file of CVAT.

    Parameters
    ----------
    path : pathlib.Path
        The file.
    root : xml.etree.ElementTree.Element
        Its outermost element.

    Returns
    -------
    list of Drawing
        The classes have the order of the project, from 0, and its colors.

    Raises
    ------
    ValueError
        If it is no file of images, or a shape is not known.
    """
    images = root.findall("image")
    if root.tag != "annotations" or not images:
        raise FileError(
            f"{path}: expected CVAT's format 'CVAT for images 1.1', got <{root.tag}> "
            f"with {len(images)} images; export in that format."
        )
    labels = root.findall("meta//labels/label")
    names = [label.findtext("name", "") for label in labels]
    colors = {
        name: color
        for name, label in zip(names, labels, strict=True)
        if (color := label.findtext("color"))
    }
    numbers = {name: i for i, name in enumerate(dict.fromkeys(names))}
    return [_read_image(path, image, numbers, colors) for image in images]


def _read_image(
    path: Path, image: Element, numbers: dict[str, int], colors: dict[str, str]
) -> Drawing:
    # Shapes with a larger z_order lie above others.
    elements = sorted(
        (e for e in image if "label" in e.attrib and e.tag != "tag"),
        key=lambda e: int(e.get("z_order", 0)),
    )
    name = image.attrib["name"]
    size = check_image(path, name, image.attrib["height"], image.attrib["width"])
    shapes = [_read_shape(path, element) for element in elements]
    return Drawing(str(path), name, size, shapes, numbers, colors)


def _read_shape(path: Path, element: Element) -> Shape:
    label = element.attrib["label"]
    if element.tag == "polygon":
        return polygon(label, _read_points(element))
    if element.tag in ("polyline", "points"):
        kind = "line" if element.tag == "polyline" else "points"
        return Shape(label, kind, _read_points(element))
    if element.tag == "box":
        left, top, right, bottom = _numbers(element, "xtl", "ytl", "xbr", "ybr")
        shape = rectangle(label, left, top, right - left, bottom - top)
        return _turn(shape, element, (left + right) / 2, (top + bottom) / 2)
    if element.tag == "ellipse":
        x, y, x_radius, y_radius = _numbers(element, "cx", "cy", "rx", "ry")
        return _turn(ellipse(label, x, y, x_radius, y_radius), element, x, y)
    if element.tag == "mask":
        left, top, width, height = (
            int(value) for value in _numbers(element, "left", "top", "width", "height")
        )
        check_image(path, f"mask of {label}", height, width)
        runs = [int(run) for run in element.attrib["rle"].split(",")]
        try:
            inside = decode_runs(runs, width * height).reshape(height, width)
        except ValueError as error:
            raise FileError(
                f"{path}: a mask of {label!r}: {error}; export it again."
            ) from error
        return pixels(label, inside, (top, left))
    raise FileError(
        f"{path}: expected polygons, boxes, ellipses, lines, points or masks, got a "
        f"<{element.tag}>; remove it, or draw it as a polygon."
    )


def _turn(shape: Shape, element: Element, x: float, y: float) -> Shape:
    return turn(shape, float(element.get("rotation", 0)), x, y)


def _numbers(element: Element, *names: str) -> list[float]:
    return [float(element.attrib[name]) for name in names]


def _read_points(element: Element) -> NDArray[np.float64]:
    pairs = [pair.split(",") for pair in element.attrib["points"].split(";")]
    return np.array(pairs, dtype=np.float64)
