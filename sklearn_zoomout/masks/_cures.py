"""Why an array is no mask, and what makes it one: the errors of the gate."""

import os
from typing import Any

import numpy as np
from numpy.typing import NDArray

# -1 in an unsigned type of 32 or 64 bits. 255 and 65535 may be labels.
_WRAPPED = (2**32 - 1, 2**64 - 1)


def as_array(mask: Any, name: str) -> NDArray[Any]:
    """Convert a mask to an array, or say what it is instead.

    Parameters
    ----------
    mask : object
        What came as a mask.
    name : str
        Its name in errors, such as "masks[3]".

    Returns
    -------
    ndarray

    Raises
    ------
    TypeError
        If it is None, a path, or a dictionary.
    ValueError
        If it is a pair of image and mask, a tensor that cannot be converted, or lists
        of unequal lengths.
    """
    if mask is None:
        raise TypeError(
            f"{name}: expected an array, got None, which cv2.imread returns for a file "
            "that it cannot read; check the path, or read the file with "
            "read_masks(paths), which says what is wrong with it."
        )
    if isinstance(mask, (str, os.PathLike)):
        raise TypeError(
            f"{name}: expected an array, got the path {os.fspath(mask)!r}; pass "
            "read_masks(paths), which reads each file when it is needed."
        )
    if isinstance(mask, dict):
        raise TypeError(
            f"{name}: expected an array, got a dictionary with the keys "
            f"{list(mask)[:5]}; pass the array in it."
        )
    if isinstance(mask, (tuple, list)) and _is_pair(mask):
        raise ValueError(
            f"{name}: expected an array, got a pair of image and mask; call "
            "fit(images, masks) with images, masks = zip(*pairs)."
        )
    if getattr(mask, "requires_grad", False):
        raise ValueError(
            f"{name}: expected an array, got a tensor that requires gradients; pass "
            "mask.detach().cpu().numpy()."
        )
    try:
        return np.asarray(mask)
    except (RuntimeError, TypeError, ValueError) as error:
        cure = "pass label maps of integers as numpy arrays."
        if hasattr(mask, "detach"):
            cure = "pass mask.cpu().long().numpy()."
        raise ValueError(
            f"{name}: expected an array, got a {type(mask).__name__} that numpy cannot "
            f"convert ({error}); {cure}"
        ) from error


def check_shape(mask: NDArray[Any], name: str, shape: tuple[int, ...]) -> None:
    """Raise an error unless a mask has the height and width of its image.

    Parameters
    ----------
    mask : ndarray
        The mask.
    name : str
        Its name in errors.
    shape : tuple of int
        Height and width of its image.

    Raises
    ------
    ValueError
        If it has another shape. The error says how to mend it.
    """
    shape = tuple(shape)
    if mask.ndim == 3:
        raise ValueError(
            f"{name}: expected class labels of shape {shape}, got shape {mask.shape}, "
            f"{_explain_axes(mask, shape)}"
        )
    if mask.shape == shape:
        return
    got = mask.shape if mask.ndim else repr(mask.item())
    hint = "."
    if mask.ndim == 2 and mask.shape == shape[::-1]:
        hint = (
            "; height and width are swapped, as when EXIF data turns the photograph "
            "and not the mask: read both upright, with datasets.read_photograph and "
            "read_masks, or pass mask.T if rows and columns are swapped."
        )
    raise ValueError(
        f"{name}: expected shape {shape}, that of its image, got {got}{hint}"
    )


def check_values(mask: NDArray[Any], name: str) -> NDArray[Any]:
    """Raise an error unless the values of a mask are labels.

    Parameters
    ----------
    mask : ndarray
        The mask.
    name : str
        Its name in errors.

    Returns
    -------
    ndarray of integers or booleans
        The mask. Floats that hold integers are converted to int64.

    Raises
    ------
    ValueError
        If a value is no label. The error names the value and says how to mend it.
    """
    if mask.dtype.kind == "f":
        mask = _integral(mask, name)
    elif mask.dtype == object and mask.size and isinstance(mask.flat[0], int):
        mask = _small_integers(mask, name)
    elif mask.dtype.kind not in "iub":
        raise ValueError(
            f"{name}: expected integer class labels, got dtype {mask.dtype}."
        )
    if mask.size == 0:
        return mask
    refuse_large(mask, name)
    lowest = mask.min() if mask.dtype.kind == "i" else 0
    if lowest < -1:
        raise ValueError(
            f"{name}: expected labels >= 0, or -1 for unlabeled pixels, got "
            f"{lowest}; if {lowest} marks pixels without a label or without data, "
            f"replace it: numpy.where(mask == {lowest}, -1, mask)."
        )
    return mask


def refuse_large(mask: NDArray[Any], name: str) -> None:
    """Raise an error for labels that no signed type holds, or that were -1 once.

    Parameters
    ----------
    mask : ndarray of integers or booleans
        Labels.
    name : str
        The name of the mask in the error.

    Raises
    ------
    ValueError
        If such a label occurs.
    """
    if mask.size == 0 or mask.dtype.itemsize < 4:
        return
    largest = int(mask.max())
    if largest in _WRAPPED:
        raise ValueError(
            f"{name}: expected labels, or -1 for unlabeled pixels, got {largest}, "
            "which is -1 in an unsigned type; keep the labels in a signed type such as "
            f"int64, or pass mark_unlabeled(masks, {largest})."
        )
    if largest > np.iinfo(np.int64).max:
        raise ValueError(
            f"{name}: expected labels below 2**63, got {largest}; number the classes "
            "from 0, alike in all masks: numpy.searchsorted(classes, mask), where "
            "classes are the sorted labels of all of them."
        )


def _is_pair(items: Any) -> bool:
    """Return whether the items are an image and its mask."""
    if len(items) != 2:
        return False
    shapes = [getattr(item, "shape", ()) for item in items]
    return sorted(map(len, shapes)) == [2, 3] or (
        len(shapes[0]) >= 2 and shapes[0] == shapes[1]
    )


def _explain_axes(mask: NDArray[Any], shape: tuple[int, ...]) -> str:
    if mask.shape == (1, *shape):
        return "with a first axis of length 1; pass mask[0]."
    if mask.shape == (*shape, 1):
        return "with a last axis of length 1; pass mask[..., 0]."
    for axis, rest in ((-1, mask.shape[:2]), (0, mask.shape[1:])):
        if rest == shape and _is_one_hot(mask, axis):
            return (
                "which holds one plane of zeros and ones per class; pass "
                f"numpy.where(mask.any({axis}), mask.argmax({axis}), -1)."
            )
        if rest == shape and mask.dtype.kind == "f" and mask.shape[axis] not in (3, 4):
            return (
                f"which holds one plane of numbers per class; pass mask.argmax({axis})."
            )
    return (
        "which looks like colors; read the file with read_masks(paths), or a palette "
        "PNG as indices, numpy.asarray(PIL.Image.open(path)) without conversion to "
        "RGB, or map each color to a label with mark_unlabeled(masks, color, "
        "colors=...)."
    )


def _is_one_hot(mask: NDArray[Any], axis: int) -> bool:
    if mask.dtype.kind not in "iubf":
        return False
    binary = bool(((mask == 0) | (mask == 1)).all())
    return binary and bool((mask.sum(axis=axis) <= 1).all()) and bool(mask.any())


def _integral(mask: NDArray[Any], name: str) -> NDArray[np.int64]:
    with np.errstate(invalid="ignore"):
        labels = mask.astype(np.int64)
    wrong = labels != mask
    if not wrong.any():
        return labels
    row, column = np.argwhere(wrong)[0]
    got = f"{mask[row, column]} at row {row}, column {column}"
    cure = "masks are resized without interpolation, with the nearest label"
    if np.isnan(mask[row, column]):
        cure = (
            "if NaN marks pixels without a label or without data, replace it: "
            "numpy.where(numpy.isnan(mask), -1, mask)"
        )
    elif not abs(mask[row, column]) < 2.0**63:
        cure = "labels are below 2**63; number the classes from 0"
    raise ValueError(f"{name}: expected integer class labels, got {got}; {cure}.")


def _small_integers(mask: NDArray[Any], name: str) -> NDArray[np.int64]:
    """Convert Python's integers, which may be larger than those of numpy."""
    try:
        return mask.astype(np.int64)
    except (OverflowError, TypeError, ValueError) as error:
        raise ValueError(
            f"{name}: expected integer labels below 2**63, got dtype object ({error}); "
            "number the classes from 0."
        ) from error
