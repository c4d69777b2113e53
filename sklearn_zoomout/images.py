"""Checks of the images that users pass, and their conversion to float32."""

import os
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

# An image in uint8 and the same image divided by 255 must have the same features.
# Therefore both are converted to these float32 values.
_UINT8_TO_FLOAT = (np.arange(256) / 255).astype(np.float32)


def check_images(images: Any, name: str = "images") -> list[NDArray[Any]]:
    """Check a sequence of RGB images, without copying them.

    Parameters
    ----------
    images : sequence of array-like of shape (height, width, 3)
        uint8 in 0..255, or floating point in 0..1. Sizes may differ.
    name : str, default="images"
        The name of the images in errors.

    Returns
    -------
    list of ndarray
        The same images as arrays.

    Raises
    ------
    TypeError
        If ``images`` is not a sequence of images.
    ValueError
        If it is empty, or one of the images is not RGB, has no pixels, has a dtype
        whose range of values is ambiguous, or has values outside its range.
    """
    check_sequence(images, name, "an image", single_ndim=3)
    return [check_image(image, f"{name}[{i}]") for i, image in enumerate(images)]


def as_float(image: NDArray[Any]) -> NDArray[np.float32]:
    """Convert an image to float32 in 0..1.

    The result is the same for uint8 values x and for floating-point values x / 255.

    Parameters
    ----------
    image : ndarray of shape (height, width, 3)
        uint8, or floating point in 0..1.

    Returns
    -------
    ndarray of float32 of shape (height, width, 3)
        C-contiguous.
    """
    if image.dtype == np.uint8:
        looked_up = cv2.LUT(np.ascontiguousarray(image), _UINT8_TO_FLOAT)
        return np.asarray(looked_up, dtype=np.float32)
    return np.ascontiguousarray(image, dtype=np.float32)


def check_sequence(items: Any, name: str, one: str, single_ndim: int) -> None:
    """Raise an error unless the items are a sequence of at least one array.

    Parameters
    ----------
    items : object
        The value to check.
    name : str
        The name of the argument in errors.
    one : str
        Noun for an item in errors, such as "an image".
    single_ndim : int
        An array with at most this number of dimensions is a single item.

    Raises
    ------
    TypeError
        If it is a single array, or not a sequence.
    ValueError
        If it is empty.
    """
    single = isinstance(items, np.ndarray) and items.ndim <= single_ndim
    if single and items.dtype != object:
        raise TypeError(
            f"{name}: expected a list of arrays, got one array of shape "
            f"{items.shape}; put {one} into a list even if it is the only one."
        )
    if isinstance(items, (str, bytes, dict)) or not (
        hasattr(items, "__len__") and hasattr(items, "__getitem__")
    ):
        raise TypeError(
            f"{name}: expected a list of arrays, got {type(items).__name__}."
        )
    if len(items) == 0:
        raise ValueError(f"{name}: expected at least one item, got an empty list.")


def check_image(image: Any, name: str) -> NDArray[Any]:
    """Check one RGB image as `check_images` does; errors contain the name."""
    refuse_path(image, name, "datasets.read_photograph")
    refuse_masked(image, name, "fill in a color, image.filled(0)")
    image = np.asarray(image)
    _check_image_shape(image, name)
    expected = "uint8 in 0..255 or floating point in 0..1"
    if image.dtype.kind == "f":
        _check_float_range(image, name)
    elif image.dtype != np.uint8:
        raise ValueError(
            f"{name}: expected {expected}, got dtype {image.dtype}, whose range is "
            "ambiguous; convert it yourself, for example with "
            "skimage.util.img_as_ubyte, or image.astype(numpy.uint8) if its values "
            "are 0..255."
        )
    return image


def refuse_path(item: Any, name: str, read: str) -> None:
    """Raise an error for a path in place of an array; ``read`` is what reads it."""
    if isinstance(item, (str, os.PathLike)):
        raise TypeError(
            f"{name}: expected an array, got the path {os.fspath(item)!r}; pass "
            f"datasets.FileSequence({read}, paths), which reads each file when it is "
            "needed."
        )


def refuse_masked(array: Any, name: str, cure: str) -> None:
    """Raise an error for a masked array, whose mask would have no effect."""
    if np.ma.isMaskedArray(array):
        raise ValueError(
            f"{name}: expected an array, got a masked array; masked pixels would count "
            f"like all others; {cure}."
        )


def _check_image_shape(image: NDArray[Any], name: str) -> None:
    shape, n_channels = image.shape, image.shape[-1] if image.ndim == 3 else 0
    if n_channels == 3 and 0 not in shape:
        return
    got = f"an array of shape {shape}" if shape else repr(image.item())
    if image.ndim == 2 or n_channels == 1:
        plane = "image" if image.ndim == 2 else "image[..., 0]"
        got = (
            f"a gray image of shape {shape}; convert it with "
            f"skimage.color.gray2rgb({plane}), or call fit(images, masks) if it is a "
            "mask"
        )
    elif n_channels == 4:
        got = (
            f"shape {shape}, which looks like RGBA; drop the alpha channel with "
            "image[..., :3] or skimage.color.rgba2rgb(image)"
        )
    elif n_channels == 3:
        got = f"shape {shape}, which has no pixels"
    elif image.ndim == 3 and shape[0] == 3:
        got = (
            f"shape {shape}, which looks like channels first; use "
            "numpy.moveaxis(image, 0, -1)"
        )
    raise ValueError(
        f"{name}: expected an RGB image of shape (height, width, 3), got {got}."
    )


def _check_float_range(image: NDArray[Any], name: str) -> None:
    low, high = image.min(), image.max()
    if not (np.isfinite(low) and np.isfinite(high)):
        row, column, _ = np.argwhere(~np.isfinite(image))[0]
        raise ValueError(
            f"{name}: expected finite values, got {image[row, column].tolist()} at "
            f"row {row}, column {column}; replace NaN and infinity first."
        )
    if low < 0 or high > 1:
        hint = (
            "looks like 0..255: divide by 255 or convert to uint8"
            if low >= 0 and 2 < high <= 255
            else "clip or rescale it first"
        )
        raise ValueError(
            f"{name}: expected floating-point values in 0..1, got {low}..{high}; "
            f"{hint}."
        )
