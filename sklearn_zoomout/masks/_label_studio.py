"""Exports of Label Studio: brushes, polygons, rectangles and ellipses in percent."""

import re
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import numpy as np

from .._utils.foreign_files import FileError
from ._runs import decode_brush
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

# Uploaded files get such a beginning.
_UPLOAD = re.compile(r"^[0-9a-f]{8}-")
_KINDS = ("brushlabels", "polygonlabels", "rectanglelabels", "ellipselabels")


def read_label_studio(path: Path, tasks: list[dict[str, Any]]) -> list[Drawing]:
    """Return the regions of all annotated images of an export as JSON.

    The first annotation of an image counts, unless it was cancelled. Regions without a
    class are left out, as are images without an annotated region.

    Parameters
    ----------
    path : pathlib.Path
        The file.
    tasks : list of dict
        What it holds.

    Returns
    -------
    list of Drawing

    Raises
    ------
    ValueError
        If a region is not known, or no image has one.
    """
    drawings = [_read_task(path, task) for task in tasks]
    found = [drawing for drawing in drawings if drawing is not None]
    if not found:
        raise FileError(
            f"{path}: expected regions with one of {list(_KINDS)}, got none in "
            f"{len(tasks)} tasks; label the images, then export JSON."
        )
    return found


def _read_task(path: Path, task: dict[str, Any]) -> Drawing | None:
    valid = [a for a in task["annotations"] if not a.get("was_cancelled")]
    results = [r for r in (valid[0]["result"] if valid else []) if "value" in r]
    regions = [r for r in results if "original_width" in r and _class_of(r)]
    if not regions:
        return None
    name, region = _image_name(task), regions[0]
    size = check_image(path, name, region["original_height"], region["original_width"])
    shapes = [_read_region(path, region, size) for region in regions]
    return Drawing(str(path), name, size, shapes)


def _class_of(region: dict[str, Any]) -> str | None:
    """Return the class of a region, or None for texts, choices and bare regions."""
    names = region["value"].get(region.get("type", ""))
    is_label = isinstance(names, list) and names and region["type"].endswith("labels")
    return str(names[0]) if is_label else None


def _image_name(task: dict[str, Any]) -> str:
    """Return the name of a task's file, without what Label Studio put before it."""
    texts = [value for value in task["data"].values() if isinstance(value, str)]
    name = task.get("file_upload") or (texts[0] if texts else str(task.get("id")))
    name = re.split(r"[/=\\]", unquote(name.partition("?X-")[0]))[-1]
    return _UPLOAD.sub("", name)


def _read_region(path: Path, region: dict[str, Any], size: tuple[int, int]) -> Shape:
    label, value, kind = str(_class_of(region)), region["value"], region["type"]
    height, width = size
    percent = np.array([width, height]) / 100
    if kind == "polygonlabels":
        return polygon(label, np.asarray(value["points"], np.float64) * percent)
    if kind == "rectanglelabels":
        x, y = np.array([value["x"], value["y"]]) * percent
        extent = np.array([value["width"], value["height"]]) * percent
        shape = rectangle(label, x, y, *extent)
        return turn(shape, float(value.get("rotation", 0)), x, y)
    if kind == "ellipselabels":
        x, y = np.array([value["x"], value["y"]]) * percent
        radii = np.array([value["radiusX"], value["radiusY"]]) * percent
        return turn(ellipse(label, x, y, *radii), float(value.get("rotation", 0)), x, y)
    if kind == "brushlabels":
        try:
            flat = decode_brush(value["rle"], 4 * height * width)
        except ValueError as error:
            raise FileError(
                f"{path}: a brush of {label!r}: {error}; export it again."
            ) from error
        return pixels(label, flat.reshape(height, width, 4)[..., 3] > 0)
    raise FileError(
        f"{path}: expected regions of {list(_KINDS)}, got {kind!r}; remove them, or "
        "draw polygons."
    )
