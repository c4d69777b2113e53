"""Pictures that Pillow reads."""

from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from .._utils.foreign_files import FileError, check_file_size, check_size, open_file
from .._utils.pictures import ORIENTATION, decode_picture, has_deep_colors

_KINDS = ["BMP", "GIF", "JPEG", "PNG", "PPM", "TGA", "TIFF", "WEBP"]
_CURE = "expected a whole file in one of these formats"
# What Pillow decodes without a loss, and the mode whose array has the values.
_MODES = {
    "1": "L",
    "L": "L",
    "LA": "LA",
    "P": "RGB",
    "PA": "RGBA",
    "RGB": "RGB",
    "RGBA": "RGBA",
    "CMYK": "RGB",
    "YCbCr": "RGB",
    "I;16": "I;16",
    "F": "F",
}


def read_with_pillow(
    path: Path, page: int | None
) -> tuple[NDArray[Any], NDArray[Any] | None]:
    """Read a picture that Pillow knows.

    Parameters
    ----------
    path : pathlib.Path
        The file.
    page : int or None
        The page or frame, from 0.

    Returns
    -------
    image : ndarray of shape (height, width) or (height, width, 3)
        Upright.
    opacity : ndarray of shape (height, width), or None
        Its alpha channel, of the same dtype.

    Raises
    ------
    ValueError
        If it cannot be read, or has several frames and none is chosen.
    """
    with open_file(path) as file, decode_picture(file, path, _KINDS, _CURE) as picture:
        _choose_frame(picture, path, page)
        check_size(path, picture.height, picture.width)
        return _decode(picture, path)


def _choose_frame(picture: Image.Image, path: Path, page: int | None) -> None:
    # Phones write MPO files, whose first frame is the photograph.
    n_frames = getattr(picture, "n_frames", 1)
    if page is None and n_frames > 1 and picture.format != "MPO":
        raise FileError(
            f"{path}: expected one picture, got {n_frames} frames; pass page=0, 1, ... "
            "to read one of them."
        )
    if page is not None and not 0 <= page < n_frames:
        raise FileError(f"page: expected 0..{n_frames - 1} for {path}, got {page}.")
    if page:
        picture.seek(page)


def _decode(
    picture: Image.Image, path: Path
) -> tuple[NDArray[Any], NDArray[Any] | None]:
    """Return the values of the chosen frame, upright, and its alpha channel."""
    if has_deep_colors(picture):
        return _decode_deep_colors(picture, path)
    ImageOps.exif_transpose(picture, in_place=True)
    if picture.mode.startswith("I"):
        # Pillow has a mode of its own for each order of the bytes.
        values = np.asarray(picture)
        key = picture.info.get("transparency")
        opacity = None if key is None else _opaque(values != key, np.uint16)
        return values.astype(np.uint16), opacity
    mode = _MODES.get(picture.mode)
    if mode is None:
        raise FileError(
            f"{path}: expected one of the modes {list(_MODES)}, got {picture.mode}; "
            "convert the file to RGB first."
        )
    if picture.has_transparency_data and mode not in ("LA", "RGBA"):
        mode = "LA" if mode == "L" else "RGBA"
    values = np.array(picture.convert(mode))
    if mode == "LA":
        return values[..., 0], values[..., 1]
    if mode == "RGBA":
        return values[..., :3], values[..., 3]
    return values, None


def _decode_deep_colors(
    picture: Image.Image, path: Path
) -> tuple[NDArray[Any], NDArray[Any] | None]:
    if getattr(picture, "n_frames", 1) > 1:
        raise FileError(
            f"{path}: expected 8 bits per channel in an animation, got 16; save the "
            "frame to a file of its own."
        )
    check_file_size(path)
    is_ppm = picture.format == "PPM"
    highest = picture.tile[0][3][-1] if is_ppm else None  # type: ignore[attr-defined]
    picture.load()  # refuses a file that is not whole, of which OpenCV reads a part
    values = cv2.imdecode(np.fromfile(path, np.uint8), cv2.IMREAD_UNCHANGED)
    if (
        values is None
        or values.dtype != np.uint16
        or values.ndim != 3
        or values.shape[1::-1] != picture.size
    ):
        raise FileError(f"{path} cannot be read with 16 bits per channel.")
    if highest is not None:
        # As Pillow does with gray values: the largest one becomes 65535.
        values = np.rint(values * (65_535 / highest)).astype(np.uint16)
    values = turn_upright(values, picture.getexif().get(ORIENTATION, 1))
    colors = np.ascontiguousarray(values[..., 2::-1])  # BGR
    key = picture.info.get("transparency")
    if values.shape[2] == 4:
        opacity = values[..., 3]
    elif key is not None:
        opacity = _opaque((colors != np.asarray(key)).any(axis=2), np.uint16)
    else:
        opacity = None
    return (colors[..., 0] if picture.mode == "LA" else colors), opacity


def turn_upright(values: NDArray[Any], orientation: int) -> NDArray[Any]:
    """Turn an array as EXIF's orientation says.

    Parameters
    ----------
    values : ndarray of shape (height, width, ...)
        The pixels as they are stored.
    orientation : int
        1 to 8; others count as 1.

    Returns
    -------
    ndarray
    """
    if orientation in (2, 4, 5, 7):
        values = values[:, ::-1]
    turns = {3: 2, 4: 2, 5: 1, 6: 3, 7: 3, 8: 1}.get(orientation, 0)
    return np.ascontiguousarray(np.rot90(values, turns))


def _opaque(mask: NDArray[np.bool_], dtype: Any) -> NDArray[Any]:
    return np.where(mask, np.iinfo(dtype).max, 0).astype(dtype)
