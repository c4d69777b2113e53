"""Mask files as arrays: numbers or colors, as the file holds them."""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from .._utils.pictures import open_picture
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
            raise ValueError(
                f"{path}: expected one mask, got {n_pages} pages; save each "
                "to a file of its own."
            )
        note = _read_note(picture)
        transparent = None
        if picture.has_transparency_data:
            transparent = np.array(picture.convert("RGBA"))[..., 3] < 128
            transparent = transparent if transparent.any() else None
        if picture.mode == "P":
            colors = np.array(picture.getpalette("RGB"), dtype=np.uint8)
            return Numbers(np.array(picture), colors.reshape(-1, 3), transparent, note)
        if picture.mode in ("1", "L", "I", "I;16", "I;16B", "F"):
            return Numbers(_as_labels(np.array(picture), path), None, transparent, note)
        if picture.mode == "LA":
            return Numbers(np.array(picture)[..., 0], None, transparent, note)
        return Colors(np.array(picture.convert("RGB")), transparent)


def _read_note(picture: Image.Image) -> dict[str, Any]:
    """Return what `write_labels` wrote into a file, or nothing."""
    text = picture.info.get(NOTE)
    if picture.format == "TIFF":
        text = picture.tag_v2.get(270)  # type: ignore[attr-defined]
    try:
        note = json.loads(text)[NOTE] if isinstance(text, str) else {}
    except (ValueError, KeyError, TypeError):
        return {}  # a description by another program
    return note if isinstance(note, dict) else {}


def _pillow_reads(path: Path) -> bool:
    """Return whether a TIFF file holds colors or bytes, and not larger numbers."""
    with open(path, "rb") as file:
        try:
            with Image.open(file, formats=["TIFF"]) as picture:
                return picture.mode in ("1", "L", "P", "LA", "RGB", "RGBA", "I;16")
        except (OSError, SyntaxError, Image.DecompressionBombError):
            return False


def _load_tiff(path: Path) -> NDArray[Any]:
    from skimage import io

    try:
        return np.asarray(io.imread(path))
    except Exception as error:  # tifffile raises errors of many kinds
        raise ValueError(
            f"{path} cannot be read as a TIFF file ({error}); {_CURE}."
        ) from error


def _load_npy(path: Path) -> NDArray[Any]:
    try:
        return np.asarray(np.load(path, allow_pickle=False))
    except (ValueError, EOFError) as error:
        raise ValueError(
            f"{path} cannot be read as an array ({error}); {_CURE}."
        ) from error


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
    try:
        with h5py.File(path, "r") as file:
            file.visititems(
                lambda name, item: arrays.update(
                    {name: item.shape} if hasattr(item, "dtype") else {}
                )
            )
            names = ["exported_data"] if "exported_data" in arrays else list(arrays)
            if len(names) == 1:
                return np.asarray(file[names[0]])
    except OSError as error:
        raise ValueError(
            f"{path} cannot be read as an HDF5 file ({error}); {_CURE}."
        ) from error
    raise ValueError(
        f"{path}: expected one array, or exported_data, got {arrays}; export the "
        "labels alone, as ilastik's Simple Segmentation does."
    )


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
