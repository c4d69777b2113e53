"""The one gate through which images and masks enter."""

import os
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

# Float images that were uint8 divided by 255 must give the same features as the
# uint8 images themselves, so both meet in these float32 values.
_UINT8_TO_FLOAT = (np.arange(256) / 255).astype(np.float32)


def check_images(images: Any, name: str = "images") -> list[NDArray[Any]]:
    """Check a sequence of RGB images, without copying them.

    Parameters
    ----------
    images : sequence of array-like of shape (height, width, 3)
        uint8 in 0..255, or floating point in 0..1. Sizes may differ.
    name : str, default="images"
        What errors call them.

    Returns
    -------
    list of ndarray
        The same images as arrays.

    Raises
    ------
    TypeError
        If ``images`` is not a sequence of images.
    ValueError
        If it is empty, or one of the images is not RGB, has no pixels, has a
        dtype whose range of values is ambiguous, or has values out of range.
    """
    _check_sequence(images, name, "an image", single_ndim=3)
    return [check_image(image, f"{name}[{i}]") for i, image in enumerate(images)]


def check_masks(
    masks: Any, images: Sequence[Any], name: str = "masks"
) -> list[NDArray[Any]]:
    """Check label masks against the images that they belong to.

    Parameters
    ----------
    masks : sequence of array-like of shape (height, width)
        Integer class labels, one per pixel. The only negative value allowed is
        -1, which can serve as the label of unlabeled (void) pixels.
    images : sequence of objects with a ``shape``
        The images, or anything else of shape (height, width, ...).
    name : str, default="masks"
        What errors call them.

    Returns
    -------
    list of ndarray of integers or booleans
        The masks as arrays; integral floats are converted, nothing else copied.

    Raises
    ------
    TypeError
        If ``masks`` is not a sequence.
    ValueError
        If the numbers or shapes differ, or a mask does not hold class labels.
    """
    return list(iter_masks(masks, images, name))


def iter_masks(
    masks: Any, images: Sequence[Any], name: str = "masks"
) -> Iterator[NDArray[Any]]:
    """Check masks as `check_masks` does, but read each only when it is its turn."""
    if masks is None:
        raise TypeError(
            f"{name}: expected a label map for every image, got none; call "
            "fit(images, masks)."
        )
    _check_sequence(masks, name, "a mask", single_ndim=2)
    if len(masks) != len(images):
        raise ValueError(
            f"{name}: expected one mask per image, got {len(masks)} masks for "
            f"{len(images)} images."
        )
    for i, (mask, image) in enumerate(zip(masks, images, strict=True)):
        yield _check_mask(mask, f"{name}[{i}]", image.shape[:2])


def as_float(image: NDArray[Any]) -> NDArray[np.float32]:
    """Convert an image to float32 in 0..1, the same for uint8 x and float x / 255.

    Parameters
    ----------
    image : ndarray of shape (height, width, 3)
        uint8, or floating point in 0..1.

    Returns
    -------
    ndarray of shape (height, width, 3), float32, C-contiguous
    """
    if image.dtype == np.uint8:
        return _UINT8_TO_FLOAT[image]
    return np.ascontiguousarray(image, dtype=np.float32)


def _check_sequence(items: Any, name: str, one: str, single_ndim: int) -> None:
    single = isinstance(items, np.ndarray) and items.ndim <= single_ndim
    if single and items.dtype != object:
        raise TypeError(
            f"{name}: expected a list of arrays, got one array of shape "
            f"{items.shape}; put {one} of its own into a list."
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
    """Check one RGB image, as `check_images` does; errors call it by the name."""
    if isinstance(image, (str, os.PathLike)):
        raise TypeError(
            f"{name}: expected an array, got the path {os.fspath(image)!r}; give "
            "datasets.FileSequence(datasets.read_photograph, paths), which reads each "
            "file when it is needed."
        )
    _refuse_masked(image, name, "fill in a color, image.filled(0)")
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


def _refuse_masked(array: Any, name: str, cure: str) -> None:
    if np.ma.isMaskedArray(array):
        raise ValueError(
            f"{name}: expected an array, got a masked array, whose masked pixels would "
            f"count as any other; {cure}."
        )


def _check_image_shape(image: NDArray[Any], name: str) -> None:
    expected = f"{name}: expected an RGB image of shape (height, width, 3), got"
    shape = image.shape
    if image.ndim == 2:
        raise ValueError(
            f"{expected} a gray image of shape {shape}; convert it with "
            "skimage.color.gray2rgb(image)."
        )
    if image.ndim != 3:
        raise ValueError(f"{expected} an array of shape {shape}.")
    if shape[2] == 1:
        raise ValueError(
            f"{expected} a gray image of shape {shape}; convert it with "
            "skimage.color.gray2rgb(image[..., 0])."
        )
    if shape[2] == 4:
        raise ValueError(
            f"{expected} shape {shape}, which looks like RGBA; drop the alpha "
            "channel with image[..., :3] or skimage.color.rgba2rgb(image)."
        )
    if shape[2] != 3 and shape[0] == 3:
        raise ValueError(
            f"{expected} shape {shape}, which looks like channels first; use "
            "numpy.moveaxis(image, 0, -1)."
        )
    if shape[2] != 3:
        raise ValueError(f"{expected} an array of shape {shape}.")
    if 0 in shape:
        raise ValueError(f"{expected} shape {shape}, which has no pixels.")


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


def _check_mask(mask: Any, name: str, shape: tuple[int, int]) -> NDArray[Any]:
    _refuse_masked(mask, name, "fill in the label of unlabeled pixels, mask.filled(-1)")
    mask = np.asarray(mask)
    if mask.ndim == 3:
        raise ValueError(
            f"{name}: expected class labels of shape {tuple(shape)}, got shape "
            f"{mask.shape}, which looks like colors; read a palette PNG as indices, "
            "numpy.asarray(PIL.Image.open(path)) without conversion to RGB, or map "
            "each color to a label."
        )
    if mask.shape != tuple(shape):
        raise ValueError(
            f"{name}: expected shape {tuple(shape)}, that of its image, got "
            f"{mask.shape}."
        )
    if mask.dtype.kind == "f":
        mask = _integral(mask, name)
    elif mask.dtype.kind not in "iub":
        raise ValueError(
            f"{name}: expected integer class labels, got dtype {mask.dtype}."
        )
    if mask.dtype.kind == "i" and mask.min() < -1:
        raise ValueError(
            f"{name}: expected labels >= 0, or -1 for unlabeled pixels, got "
            f"{mask.min()}; replace it by -1 if it marks unlabeled pixels."
        )
    return mask


def _integral(mask: NDArray[Any], name: str) -> NDArray[np.int64]:
    with np.errstate(invalid="ignore"):
        labels = mask.astype(np.int64)
    wrong = labels != mask
    if wrong.any():
        row, column = np.argwhere(wrong)[0]
        raise ValueError(
            f"{name}: expected integer class labels, got {mask[row, column]} at row "
            f"{row}, column {column}."
        )
    return labels
