"""TIFF pictures, whose channels may be of any number and type."""

from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from .._utils.foreign_files import FileError, check_file_size
from .._utils.pictures import ORIENTATION
from .._utils.tiffs import check_image, open_tiff
from ._pillow_picture import read_with_pillow, turn_upright

# Values of the tag PhotometricInterpretation.
_WHITE_IS_0, _GRAY, _RGB, _PALETTE, _CMYK, _YCBCR = 0, 1, 2, 3, 5, 6
_REDUCED_OR_MASK = 5  # bits of the tag NewSubfileType
# Values of the tag ExtraSamples: colors that are multiplied by alpha, and others.
_ASSOCIATED, _UNASSOCIATED = 1, 2


def read_tiff(path: Path, page: int | None) -> tuple[NDArray[Any], NDArray[Any] | None]:
    """Read a TIFF picture.

    Pillow decodes what it keeps without a loss, tifffile all other kinds.

    Parameters
    ----------
    path : pathlib.Path
        The file.
    page : int or None
        The page, from 0.

    Returns
    -------
    image : ndarray of shape (height, width) or (height, width, n_channels)
        Upright.
    opacity : ndarray of shape (height, width), or None
        Its alpha channel, of the same dtype.

    Raises
    ------
    ImportError
        If tifffile is missing.
    ValueError
        If the file cannot be read, or has several pages that are no channels and none
        is chosen.
    """
    with open_tiff(path, "expected a whole file") as file:
        image, position = _choose_image(file, path, page)
        check_image(file, image, path)
        if position is None or not _pillow_keeps(image):
            return _decode(image, path, position)
    return read_with_pillow(path, position)


def _choose_image(file: Any, path: Path, page: int | None) -> tuple[Any, int | None]:
    """Return the page and its position, or a series of pages that are channels."""
    n_pages = len(file.pages)
    if page is not None:
        if not 0 <= page < n_pages:
            raise FileError(f"page: expected 0..{n_pages - 1} for {path}, got {page}.")
        return file.pages[page], page
    whole = [
        i
        for i in range(n_pages)
        if not int(file.pages[i].keyframe.subfiletype) & _REDUCED_OR_MASK
    ]
    if len(whole) == 1:
        return file.pages[whole[0]], whole[0]
    series = file.series[0]
    if len(series.axes) == 3 and "C" in series.axes and len(series.pages) == len(whole):
        return series, None
    raise FileError(
        f"{path}: expected one picture, got {len(whole)} pages; pass page=0, 1, ... to "
        "read one of them."
    )


def _pillow_keeps(page: Any) -> bool:
    """Return whether Pillow decodes all values of a page."""
    key = page.keyframe
    kind, extra = int(key.photometric), [int(i) for i in key.extrasamples]
    n_channels, bits = key.samplesperpixel, key.bitspersample
    if int(key.sampleformat or 1) != 1:
        return False
    if n_channels == 1:
        return kind in (_WHITE_IS_0, _GRAY, _PALETTE) and (
            bits in (1, 2, 4, 8) or (bits == 16 and kind == _GRAY)
        )
    if bits != 8:
        return False
    alpha = extra in ([_ASSOCIATED], [_UNASSOCIATED])
    return (
        (kind in (_RGB, _YCBCR) and n_channels == 3)
        or (kind == _CMYK and n_channels == 4)
        or (kind == _RGB and n_channels == 4 and alpha)
    )


def _decode(
    image: Any, path: Path, position: int | None
) -> tuple[NDArray[Any], NDArray[Any] | None]:
    """Return the values of a page or series, upright, and its alpha channel."""
    key = image.keyframe
    kind = int(key.photometric)
    if kind not in (_WHITE_IS_0, _GRAY, _RGB, _PALETTE):
        raise FileError(
            f"{path}: expected gray, RGB or palette with {key.bitspersample} bits per "
            f"channel, got {key.photometric!r}; convert the file to RGB first."
        )
    try:
        values = image.asarray()
    except (ValueError, KeyError) as error:
        values = _decode_with_opencv(key, path, position, error)
    else:
        channels = [i for i, axis in enumerate(image.axes) if axis in "CS"]
        if channels:
            values = np.moveaxis(values, channels[0], -1)
    values = values.astype(values.dtype.newbyteorder("="), copy=False)
    tag = key.tags.get(ORIENTATION)
    values = turn_upright(values, 1 if tag is None else int(tag.value))
    if kind == _WHITE_IS_0 and values.dtype.kind == "u":
        values = np.iinfo(values.dtype).max - values
    if kind == _PALETTE:
        values = (key.colormap.T >> 8).astype(np.uint8)[values]
    extra = [int(i) for i in key.extrasamples] if values.ndim == 3 else []
    alphas = [i for i, x in enumerate(extra) if x in (_ASSOCIATED, _UNASSOCIATED)]
    if not alphas or position is None:
        return values, None
    channel = values.shape[2] - len(extra) + alphas[0]
    opacity = values[..., channel]
    colors = np.delete(values, channel, axis=2)
    if extra[alphas[0]] == _ASSOCIATED:
        colors = _divide(colors, opacity)
    return (colors[..., 0] if colors.shape[2] == 1 else colors), opacity


def _decode_with_opencv(
    key: Any, path: Path, position: int | None, error: Exception
) -> NDArray[Any]:
    """Decode what tifffile needs another library for; OpenCV knows fewer kinds."""
    turned = key.tags.get(ORIENTATION)
    known = position == 0 and key.samplesperpixel in (1, 3, 4)
    if known and int(key.planarconfig) == 1 and (turned is None or turned.value == 1):
        check_file_size(path)
        values = cv2.imdecode(np.fromfile(path, np.uint8), cv2.IMREAD_UNCHANGED)
        if values is not None and (values.dtype, values.shape) == (
            key.dtype,
            key.shape,
        ):
            order = {3: [2, 1, 0], 4: [2, 1, 0, 3]}.get(key.samplesperpixel)
            return values if order is None else np.ascontiguousarray(values[..., order])
    raise FileError(
        f"{path} cannot be decoded ({error}); install imagecodecs, or save the file "
        "without compression."
    ) from error


def _divide(colors: NDArray[Any], opacity: NDArray[Any]) -> NDArray[Any]:
    """Undo the multiplication of colors by alpha."""
    full = np.iinfo(colors.dtype).max if colors.dtype.kind in "iu" else 1.0
    divided = colors * (full / np.maximum(opacity, np.finfo(float).tiny))[..., None]
    divided = np.where(opacity[..., None] > 0, np.minimum(divided, full), 0)
    return (np.rint(divided) if colors.dtype.kind in "iu" else divided).astype(
        colors.dtype
    )
