"""`write_labels`: label maps in files that open in color."""

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from PIL import Image, ImageColor, PngImagePlugin, TiffImagePlugin

from .._utils.writing import write_whole
from ._colors import RGB, as_rgb, color_table
from ._cures import as_array, check_values
from ._decisions import as_names
from ._files import NOTE
from ._labels import UNLABELED
from ._palette import COLOR_OF_UNLABELED, default_colors

_DESCRIPTION = 270  # the tag of TIFF that holds text


def write_labels(
    path: str | os.PathLike[str],
    labels: ArrayLike,
    colors: Sequence[Any] | Mapping[Any, Any] | None = None,
    names: Sequence[str] | Mapping[Any, Any] | None = None,
) -> None:
    """Write a label map into a file that other programs show in color.

    Up to label 254, or 255 if all pixels have a label, it is an image of bytes with a
    palette. Unlabeled pixels (-1) are 255. Larger labels, up to 65534, are numbers of
    16 bits without colors, and unlabeled pixels are 65535. The file says so, and
    `read_mask` returns the same labels. The file is written completely or not at all.

    Parameters
    ----------
    path : str or path
        A file that ends in ``.png``, ``.tif`` or ``.tiff``. Its folder is made if there
        is none.
    labels : array-like of integers of shape (height, width)
        The label of every pixel, such as a prediction; -1 where there is none.
    colors : sequence of color, or mapping of label or name to color, default=None
        The colors of the labels, as in `read_masks`. Others have those of
        `plotting.PALETTE`, label k the k-th.
    names : sequence of str, or mapping of label to name, default=None
        The names of the labels, which are written into the file.

    Raises
    ------
    OSError
        If the file cannot be written.
    TypeError
        If ``labels`` is no array.
    ValueError
        If it is no label map, a label is too large, or the path ends otherwise.

    See Also
    --------
    read_mask : Read the file again.

    Examples
    --------
    >>> import tempfile
    >>> import numpy as np
    >>> from sklearn_zoomout import read_mask, write_labels
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = f"{folder}/labels.png"
    ...     write_labels(path, np.array([[0, 1, -1]]), names=["sky", "tree"])
    ...     read_mask(path)
    array([[ 0,  1, -1]], dtype=int8)
    """
    target = Path(path)
    kind = {".png": "PNG", ".tif": "TIFF", ".tiff": "TIFF"}.get(target.suffix.lower())
    if kind is None:
        raise ValueError(
            f"path: expected a file that ends in .png, .tif or .tiff, got {path}."
        )
    mask = as_array(labels, "labels")
    if mask.ndim != 2 or mask.size == 0:
        raise ValueError(
            "labels: expected a label map of shape (height, width), got shape "
            f"{mask.shape}; write each of several to a file of its own."
        )
    mask = check_values(mask, "labels")
    largest, has_gaps = int(mask.max()), bool((mask == UNLABELED).any())
    known = as_names(names) or {}
    if largest + has_gaps <= 255:
        mark = 255
        picture = Image.fromarray(_fill(mask, mark).astype(np.uint8), mode=None)
        picture.putpalette(_palette(colors, known, has_gaps).tobytes())
    elif largest < 65_535:
        mark = 65_535
        picture = Image.fromarray(_fill(mask, mark).astype(np.uint16))
    else:
        raise ValueError(
            f"labels: expected labels below 65535, got {largest}; number the classes "
            "from 0, alike in all masks: numpy.searchsorted(classes, labels), where "
            "classes are the sorted labels of all of them."
        )
    note = {"unlabeled": mark if has_gaps else None, "names": known}
    text = json.dumps({NOTE: note})
    options: dict[str, Any] = {}
    if kind == "PNG":
        options["pnginfo"] = PngImagePlugin.PngInfo()
        options["pnginfo"].add_itxt(NOTE, text)
    else:
        options["tiffinfo"] = TiffImagePlugin.ImageFileDirectory_v2()
        options["tiffinfo"][_DESCRIPTION] = text
        options["compression"] = "tiff_adobe_deflate"
    with write_whole(target) as file:
        picture.save(file, format=kind, **options)


def _fill(mask: NDArray[Any], mark: int) -> NDArray[Any]:
    return np.where(mask == UNLABELED, mark, mask)


def _palette(colors: Any, names: dict[int, str], has_gaps: bool) -> NDArray[np.uint8]:
    """Return the colors of 256 labels, of shape (256, 3)."""
    palette = np.array(default_colors(256), dtype=np.uint8)
    if has_gaps:
        palette[255] = ImageColor.getrgb(COLOR_OF_UNLABELED)[:3]
    for label, color in _listed(colors, names).items():
        if 0 <= label < 256:
            palette[label] = color
    return palette


def _listed(colors: Any, names: dict[int, str]) -> dict[int, RGB]:
    if colors is None:
        return {}
    by_name: dict[Any, int] = {name: label for label, name in names.items()}
    if isinstance(colors, Mapping) and by_name:
        return {
            by_name[key] if key in by_name else int(key): as_rgb(color)
            for key, color in colors.items()
        }
    return {label: color for color, label in color_table(colors)[0].items()}
