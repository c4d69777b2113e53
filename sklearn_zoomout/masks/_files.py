"""Mask files as arrays: numbers or colors, as the file holds them."""

import json
import re
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from .._utils.foreign_files import (
    FileError,
    check_file_size,
    check_size,
    explain_damage,
    open_file,
)
from .._utils.pictures import open_picture
from .._utils.tiffs import check_image, open_tiff
from ._cures import check_values

#: Where `write_labels` says in a file what it means.
NOTE = "sklearn_zoomout"
_PICTURES = {".png", ".tif", ".tiff", ".bmp", ".gif", ".webp"}
_HDF5 = {".h5", ".hdf5"}
_JPEG = {".jpg", ".jpeg", ".jfif"}
_FORMATS = ["PNG", "TIFF", "BMP", "GIF", "WEBP"]
#: Endings of files that hold the mask of one image.
SUFFIXES = _PICTURES | _HDF5 | {".npy"}
_CURE = "expected a whole mask file"


@dataclass(frozen=True)
class Numbers:
    """A file that holds a number for every pixel.

    Attributes
    ----------
    values : ndarray of integers of shape (height, width)
        The numbers.
    palette : ndarray of uint8 of shape (n_colors, 3) or None
        The colors in which programs show them.
    transparent : ndarray of bool of shape (height, width) or None
        Which pixels have an alpha of less than one half.
    note : dict
        What `write_labels` wrote: "unlabeled" and "names".
    """

    values: NDArray[Any]
    palette: NDArray[np.uint8] | None = None
    transparent: NDArray[np.bool_] | None = None
    note: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Colors:
    """A file that holds a color for every pixel.

    Attributes
    ----------
    rgb : ndarray of uint8 of shape (height, width, 3)
        The colors.
    transparent : ndarray of bool of shape (height, width) or None
        Which pixels have an alpha of less than one half.
    """

    rgb: NDArray[np.uint8]
    transparent: NDArray[np.bool_] | None = None


def read_file(path: Path) -> Numbers | Colors:
    """Read a file with the mask of one image.

    Parameters
    ----------
    path : pathlib.Path
        A PNG, TIFF, BMP, GIF or WebP picture, an array in ``.npy`` or ``.h5``.

    Returns
    -------
    Numbers or Colors

    Raises
    ------
    FileNotFoundError
        If the file does not exist.
    ValueError
        If it is damaged, no mask, or of another kind.
    """
    suffix = path.suffix.lower()
    if suffix in _JPEG:
        raise ValueError(
            f"{path}: expected a mask, got a JPEG file, which changes colors and "
            "labels at every border; save the mask as PNG."
        )
    if suffix == ".npy":
        return Numbers(_as_labels(_load_npy(path), path))
    if suffix in _HDF5:
        return Numbers(_as_labels(_load_hdf5(path), path))
    if suffix not in _PICTURES:
        raise ValueError(
            f"{path}: expected one of the endings {sorted(SUFFIXES)}, or .json or .xml "
            "of an annotation program; save the mask as PNG."
        )
    if suffix in (".tif", ".tiff") and not _pillow_reads(path):
        return Numbers(_as_labels(_load_tiff(path), path))
    return _read_picture(path)


def _read_picture(path: Path) -> Numbers | Colors:
    with open_picture(path, _FORMATS, _CURE) as picture:
        n_pages = getattr(picture, "n_frames", 1)
        if n_pages > 1:
            raise FileError(
                f"{path}: expected one mask, got {n_pages} pages; save each "
                "to a file of its own."
            )
        content = _decode(picture, path)
    if isinstance(content, Colors):
        return content
    return replace(content, values=_as_labels(content.values, path))


def _decode(picture: Image.Image, path: Path) -> Numbers | Colors:
    note = _read_note(picture, path)
    transparent = None
    if picture.has_transparency_data:
        transparent = np.array(picture.convert("RGBA"))[..., 3] < 128
        transparent = transparent if transparent.any() else None
    if picture.mode == "P":
        colors = np.array(picture.getpalette("RGB"), dtype=np.uint8)
        return Numbers(np.array(picture), colors.reshape(-1, 3), transparent, note)
    if picture.mode in ("1", "L", "I", "I;16", "I;16B", "F"):
        return Numbers(np.array(picture), None, transparent, note)
    if picture.mode == "LA":
        return Numbers(np.array(picture)[..., 0], None, transparent, note)
    return Colors(np.array(picture.convert("RGB")), transparent)


def _read_note(picture: Image.Image, path: Path) -> dict[str, Any]:
    """Return what `write_labels` wrote into a file, or nothing."""
    text = picture.info.get(NOTE)
    if picture.format == "TIFF":
        text = picture.tag_v2.get(270)  # type: ignore[attr-defined]
    try:
        note = json.loads(text)[NOTE] if isinstance(text, str) else {}
    except (ValueError, KeyError, TypeError, RecursionError):
        return {}  # a description by another program
    if not isinstance(note, dict):
        return {}
    names, mark = note.get("names") or {}, note.get("unlabeled")
    if not (
        isinstance(names, dict)
        and all(re.fullmatch(r"-?\d{1,18}", label) for label in names)
        and (mark is None or type(mark) is int)
    ):
        raise FileError(
            f"{path}: expected names and unlabeled as write_labels notes them, got "
            f"{note!r:.100}; save the mask again."
        )
    return note


def _pillow_reads(path: Path) -> bool:
    """Return whether a TIFF file holds colors or bytes, and not larger numbers."""
    with open_file(path) as file:
        try:
            with Image.open(file, formats=["TIFF"]) as picture:
                return picture.mode in ("1", "L", "P", "LA", "RGB", "RGBA", "I;16")
        except Exception:  # tifffile tells what is wrong
            return False


def _load_tiff(path: Path) -> NDArray[Any]:
    with open_tiff(path, _CURE) as file:
        series = file.series[0]
        check_image(file, series, path)
        return np.asarray(series.asarray())


def _load_npy(path: Path) -> NDArray[Any]:
    with open_file(path), explain_damage(path, "read as an array", _CURE):
        check_file_size(path)
        # A map is not longer than its file, whatever shape the file declares.
        mapped = np.lib.format.open_memmap(path, mode="r")
        return np.array(mapped, subok=False)


def _load_hdf5(path: Path) -> NDArray[Any]:
    """Return the only array of a file, or that which ilastik exports."""
    try:
        import h5py
    except ImportError as error:
        raise ImportError(
            f"{path}: HDF5 files are read with h5py, which is not installed; run "
            "pip install h5py, or export the labels as TIFF or PNG."
        ) from error
    arrays: dict[str, Any] = {}
    with (
        open_file(path),
        explain_damage(path, "read as an HDF5 file", _CURE),
        h5py.File(path, "r") as file,
    ):
        file.visititems(
            lambda name, item: arrays.update(
                {name: item.shape} if hasattr(item, "dtype") else {}
            )
        )
        names = ["exported_data"] if "exported_data" in arrays else list(arrays)
        if len(names) != 1:
            raise FileError(
                f"{path}: expected one array, or exported_data, got {arrays}; export "
                "the labels alone, as ilastik's Simple Segmentation does."
            )
        found = file[names[0]]
        if found.external or found.is_virtual:
            raise FileError(f"{path}: expected an array in this file, got another.")
        check_size(path, 1, found.size, found.nbytes)
        return np.asarray(found)


def _as_labels(values: NDArray[Any], path: Path) -> NDArray[Any]:
    """Drop axes of length 1, and check that two are left."""
    shape = values.shape
    if values.ndim > 2:
        axes = tuple(i for i, n in enumerate(shape) if n == 1)[: values.ndim - 2]
        values = values.squeeze(axes)
    if values.ndim != 2:
        raise ValueError(
            f"{path}: expected one label map of shape (height, width), got shape "
            f"{shape}; export labels and not probabilities, and one image per file."
        )
    if values.dtype.kind == "f":
        values = check_values(values, str(path))
    if values.dtype.kind not in "iub":
        raise ValueError(
            f"{path}: expected integer class labels, got dtype {values.dtype}."
        )
    return values
