"""Checks of the images that users pass, and their conversion to float32."""

import os
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

# An image in uint8 and the same image divided by 255 must have the same features.
# Therefore both are converted to these float32 values.
_UINT8_TO_FLOAT = (np.arange(256) / 255).astype(np.float32)


#: The largest dtype whose bits are guessed from the largest value of an image.
_BITS = (8, 10, 12, 14, 16)
# Values that programs write where there are no data.
_SENTINELS = (-9999, -999, -32768, -1e20, -3.4e38)
# A first axis of at most so many channels before a longer last axis is suspicious.
_FEW, _MANY = (3, 4), 16
# Pictures of Pillow whose values are colors or gray levels.
_PLAIN_MODES = ("L", "RGB", "RGBA", "I", "F", "I;16", "I;16B", "I;16L")


def as_float(image: NDArray[Any]) -> NDArray[np.float32]:
    """Convert an image to float32 in 0..1.

    The result is the same for uint8 values x and for floating-point values x / 255.

    Parameters
    ----------
    image : ndarray of shape (height, width, n_channels)
        uint8, or floating point in 0..1.

    Returns
    -------
    ndarray of float32 of shape (height, width, n_channels)
        C-contiguous.
    """
    if image.dtype == np.uint8:
        # OpenCV limits the number of channels, but not that of columns.
        flat = np.ascontiguousarray(image)
        flat = flat if image.shape[-1] == 3 else flat.reshape(len(image), -1)
        looked_up = cv2.LUT(flat, _UINT8_TO_FLOAT).reshape(image.shape)
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
    ndim = getattr(items, "ndim", None)  # of an array of any library
    single = isinstance(ndim, int) and ndim <= single_ndim
    if single and str(getattr(items, "dtype", "")) != "object":
        raise TypeError(
            f"{name}: expected a list of arrays, got one array of shape "
            f"{tuple(items.shape)}; put {one} into a list even if it is the only one, "
            "and several arrays of one stack too, [*stack]."
        )
    if isinstance(items, (str, bytes, dict)) or not (
        hasattr(items, "__len__") and hasattr(items, "__getitem__")
    ):
        single = hasattr(items, "__array_interface__") or hasattr(items, "__array__")
        hint = f"; put {one} into a list even if it is the only one" if single else ""
        raise TypeError(
            f"{name}: expected a list of arrays, got {type(items).__name__}{hint}."
        )
    if len(items) == 0:
        raise ValueError(f"{name}: expected at least one item, got an empty list.")


def as_three_channels(image: NDArray[Any]) -> NDArray[Any]:
    """Return a view of three equal channels of a gray image, and others unchanged."""
    if image.shape[2] != 1:
        return image
    return np.broadcast_to(image, (*image.shape[:2], 3))


def to_image_array(image: Any, name: str) -> NDArray[Any]:
    """Convert an image to an array of three axes, and refuse what is none.

    Parameters
    ----------
    image : array-like of shape (height, width) or (height, width, n_channels)
        An array of numpy or of another library, nested lists, or a picture of Pillow.
    name : str
        The name of the image in errors.

    Returns
    -------
    ndarray of shape (height, width, n_channels)
        Of integers or floating point. It is not copied.

    Raises
    ------
    TypeError
        If it is a path.
    ValueError
        If it is no image, has no pixels, or has values that are no numbers.
    """
    refuse_path(image, name, "datasets.read_photograph")
    refuse_masked(
        image,
        name,
        "fill in a value that no other pixel has, image.filled(value), and pass "
        "nodata=value",
    )
    _refuse_other_things(image, name)
    try:
        array = np.asarray(image)
    except (RuntimeError, TypeError, ValueError) as error:
        raise ValueError(
            f"{name}: expected an image that numpy can read, got "
            f"{type(image).__name__} ({error}); {_cure_of_tensor(image)}."
        ) from error
    first_axis_last = "numpy.moveaxis(image, 0, -1)"
    if hasattr(image, "permute"):  # a tensor of torch
        first_axis_last = "image.permute(1, 2, 0)"
    _check_shape(array, name, first_axis_last)
    cures = {
        "c": "take its magnitude, numpy.abs(image)",
        "O": "convert it, image.astype(float)",
        "b": "call fit(images, masks), images first, if it is a mask, or convert it, "
        "image.astype(float)",
    }
    if array.dtype.kind not in "uif":
        cure = cures.get(array.dtype.kind, "convert it to numbers")
        raise ValueError(
            f"{name}: expected integers or floating point, such as uint8, got dtype "
            f"{array.dtype}; {cure}."
        )
    return array if array.ndim == 3 else array[..., None]


def check_alpha(image: NDArray[Any], name: str) -> None:
    """Refuse four channels, of which nothing says what the fourth is."""
    if image.shape[2] == 4:
        raise ValueError(
            f"{name}: expected RGB, gray, or bands whose meaning is clear, got shape "
            f"{image.shape}; if it is RGBA, drop the alpha channel with image[..., :3],"
            ' or fit with channels="rgba" so that transparent pixels have no data; if '
            'the fourth is a band such as infrared, fit with channels="bands".'
        )


def check_values(
    image: NDArray[Any], name: str, valid: NDArray[np.bool_] | None = None
) -> None:
    """Refuse dtypes and values whose range is unknown.

    Parameters
    ----------
    image : ndarray of shape (height, width, n_channels)
        The image.
    name : str
        The name of the image in errors.
    valid : ndarray of bool of shape (height, width), default=None
        Where there are data. Other pixels are not checked.

    Raises
    ------
    ValueError
        If it is neither uint8 nor floating point in 0..1.
    """
    if image.dtype == np.uint8:
        return
    is_float = image.dtype.kind == "f"
    if is_float:
        check_finite_values(image, name, valid)
    low, high = value_limits(image, valid)
    if is_float and low >= 0 and high <= 1:
        return
    if is_float:
        expected = f"floating-point values in 0..1, got {low}..{high}"
        looks_uint8 = low >= 0 and 2 < high <= 255
        hint = (
            "looks like 0..255: divide by 255, or declare"
            if looks_uint8
            else ("clip or rescale it, or declare")
        )
    else:
        expected = (
            "uint8 in 0..255 or floating point in 0..1, got dtype "
            f"{image.dtype} with values {low}..{high}, whose range is ambiguous"
        )
        hint = "declare"
    hint += " in fit"
    sentinel = next((x for x in _SENTINELS if np.isclose(low, x, rtol=1e-2)), None)
    missing = f"pass nodata={low} if it marks pixels without data; " if sentinel else ""
    of_mask = ""
    if not is_float and image.shape[2] == 1:
        of_mask = "; if it is a mask, call fit(images, masks), images first"
    raise ValueError(
        f"{name}: expected {expected}; {missing}{hint} the range of the sensor, "
        f'{_guess_range(low, high)}, or value_range="learn"{of_mask}.'
    )


def check_finite_values(
    image: NDArray[Any], name: str, valid: NDArray[np.bool_] | None = None
) -> None:
    """Refuse NaN and infinity, except where there are no data."""
    if image.dtype.kind != "f" or np.isfinite(image).all():
        return
    wrong = ~np.isfinite(image).all(axis=2)
    if valid is not None:
        wrong &= valid
    if wrong.any():
        row, column = np.argwhere(wrong)[0]
        has_nan = np.isnan(image[row, column]).any()
        cure = (
            'pass nodata=float("nan") if such pixels have no data'
            if has_nan
            else "replace infinity first"
        )
        raise ValueError(
            f"{name}: expected finite values, got {image[row, column].tolist()} at "
            f"row {row}, column {column}; {cure}."
        )


def value_limits(
    image: NDArray[Any], valid: NDArray[np.bool_] | None = None
) -> tuple[Any, Any]:
    """Return the lowest and the highest value of the pixels that have data."""
    values = image if valid is None else image[valid]
    return (values.min().item(), values.max().item()) if values.size else (0, 0)


def _guess_range(low: Any, high: Any) -> str:
    """Return the parameter that declares the range of values, in an error."""
    if low >= 0:
        for bits in _BITS:
            if 2 < high < 2**bits:
                return f"value_range=(0, {2**bits - 1}) if it has {bits} bits"
    return f"such as value_range=({low}, {high})"


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


def _refuse_other_things(image: Any, name: str) -> None:
    """Refuse a missing file, a pair, and a picture whose values are no colors."""
    if image is None:
        raise ValueError(
            f"{name}: expected an image, got None, which cv2.imread returns for a file "
            "that is missing or that it cannot read; check the path of the file."
        )
    is_pair = isinstance(image, (tuple, list)) and len(image) == 2
    if is_pair and all(hasattr(part, "shape") for part in image):
        raise ValueError(
            f"{name}: expected an image, got a pair of arrays; pass images and masks "
            "as two lists, images, masks = zip(*pairs)."
        )
    mode = getattr(image, "mode", None)
    if hasattr(image, "convert") and mode not in _PLAIN_MODES:
        raise ValueError(
            f"{name}: expected a picture in colors or gray, got the mode {mode!r} of "
            'Pillow; convert it, image.convert("RGB").'
        )


def _cure_of_tensor(image: Any) -> str:
    """Return what makes an array of numpy of a tensor, in an error."""
    if getattr(image, "requires_grad", False):
        return "take it out of the graph, image.detach()"
    if getattr(getattr(image, "device", None), "type", "cpu") != "cpu":
        return "bring it to the CPU, image.cpu()"
    if "bfloat16" in str(getattr(image, "dtype", "")):
        return "convert it, image.float()"
    return "make it an array of shape (height, width, 3)"


def _check_shape(image: NDArray[Any], name: str, first_axis_last: str) -> None:
    shape, ndim = image.shape, image.ndim
    if ndim in (2, 3) and 0 not in shape:
        if ndim == 2 or not _looks_like_channels_first(shape):
            return
        cure = "image[0]" if shape[0] == 1 else first_axis_last
        got = f"shape {shape}, which looks like channels first; use {cure}"
    elif ndim in (2, 3):
        got = f"shape {shape}, which has no pixels"
    elif ndim == 4:
        got = (
            f"an array of shape {shape}; if its first axis counts images, add them to "
            "the list one by one, [*array]"
        )
    else:
        got = f"an array of shape {shape}" if shape else repr(image.item())
    raise ValueError(
        f"{name}: expected an image of shape (height, width) or (height, width, "
        f"channels), such as RGB, got {got}."
    )


def _looks_like_channels_first(shape: tuple[int, ...]) -> bool:
    """Return whether a short axis comes first, and a long one last."""
    first, height, width = shape
    return first < height and (
        (first in _FEW and width > max(_FEW)) or first <= _MANY < width
    )
