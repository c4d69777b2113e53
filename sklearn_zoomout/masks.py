"""The one gate for masks, and the one place that decides what is unlabeled.

A mask holds the class label of every pixel of an image. Pixels without a label are -1,
which is how scikit-learn marks unlabeled samples.
"""

from collections.abc import Iterator, Sequence
from functools import partial
from numbers import Integral
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ._utils.lazy import LazySequence
from .images import check_sequence, refuse_masked, refuse_path

#: The label of pixels that have none.
UNLABELED = -1
# Labels below this are looked up in a table. A table for larger labels would be larger
# than a mask.
_LOOKUP_LIMIT = 65_536
_READ = "lambda path: numpy.array(PIL.Image.open(path))"  # what reads a mask, in errors


def check_masks(
    masks: Any, images: Sequence[Any], name: str = "masks"
) -> list[NDArray[Any]]:
    """Check the masks of images.

    Parameters
    ----------
    masks : sequence of array-like of shape (height, width)
        Integer class labels, one per pixel; -1 where a pixel has no label.
    images : sequence of objects with a ``shape``
        The images, or anything else of shape (height, width, ...).
    name : str, default="masks"
        The name of the argument in errors.

    Returns
    -------
    list of ndarray of integers or booleans
        The masks as arrays. Floats that hold integers are converted; nothing else is
        copied.

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
    """Check masks as `check_masks` does, and read each only when it is its turn."""
    if masks is None:
        raise TypeError(
            f"{name}: expected a label map for every image, got none; call "
            "fit(images, masks)."
        )
    check_sequence(masks, name, "a mask", single_ndim=2)
    if len(masks) != len(images):
        raise ValueError(
            f"{name}: expected one mask per image, got {len(masks)} masks for "
            f"{len(images)} images."
        )
    for i, (mask, image) in enumerate(zip(masks, images, strict=True)):
        yield _check_mask(mask, f"{name}[{i}]", image.shape[:2])


def distinct_labels(mask: NDArray[Any]) -> NDArray[np.int64]:
    """Return the sorted distinct labels of a mask, without that of unlabeled pixels.

    Parameters
    ----------
    mask : ndarray of integers, of any shape
        Labels.

    Returns
    -------
    ndarray of int64 of shape (n_labels,)
    """
    flat = mask.ravel()
    if flat.size and is_small(flat):
        # Ten times as fast as the sort of numpy.unique.
        lowest = int(flat.min())
        labels = np.flatnonzero(np.bincount(flat.astype(np.intp) - lowest)) + lowest
    else:
        labels = np.unique(flat).astype(np.int64)
    return labels[labels != UNLABELED]


def is_small(mask: NDArray[Any]) -> bool:
    """Return whether a table of all values between the lowest and the highest is small.

    Parameters
    ----------
    mask : ndarray of integers, not empty
        Labels.

    Returns
    -------
    bool
    """
    return int(mask.min()) > -_LOOKUP_LIMIT and int(mask.max()) < _LOOKUP_LIMIT


def mark_unlabeled(
    masks: Any, unlabeled: int | Sequence[int], *, colors: ArrayLike | None = None
) -> LazySequence:
    """Turn another convention for unlabeled pixels into -1.

    Nothing is read or computed until a mask is asked for, so that masks in files
    (`datasets.FileSequence`) stay there.

    Parameters
    ----------
    masks : sequence of array-like of integers
        Label maps of shape (height, width), or with ``colors`` pictures of shape
        (height, width, 3).
    unlabeled : int or sequence of 3 int
        The label that unlabeled pixels have, such as 255 (PASCAL VOC) or 0 (napari).
        With ``colors`` their color, RGB.
    colors : array-like of integers of shape (n_classes, 3), default=None
        The colors of the classes: pixels of the color at position k get the label k.

    Returns
    -------
    masks : sequence of ndarray of shape (height, width)
        The same masks with -1 for unlabeled pixels, in the smallest signed integer type
        that holds the labels. An integer index returns a mask; a slice, a list or an
        array of indices returns a shorter sequence.

    Raises
    ------
    TypeError
        If ``masks`` is not a sequence.
    ValueError
        If ``unlabeled`` is neither a label nor, with ``colors``, a color. Later, when a
        mask is asked for: if it holds no integers, already has pixels of -1, or has a
        color that is not listed.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_zoomout import mark_unlabeled
    >>> mask = np.array([[0, 1, 255]], dtype=np.uint8)
    >>> mark_unlabeled([mask], 255)[0]
    array([[ 0,  1, -1]], dtype=int16)
    >>> picture = np.array([[[255, 0, 0], [0, 0, 255], [255, 255, 255]]])
    >>> mark_unlabeled(
    ...     [picture], (255, 255, 255), colors=[(255, 0, 0), (0, 0, 255)]
    ... )[0]
    array([[ 0,  1, -1]], dtype=int8)
    """
    check_sequence(masks, "masks", "a mask", single_ndim=2 if colors is None else 3)
    if colors is None:
        if not isinstance(unlabeled, Integral) or isinstance(unlabeled, bool):
            raise ValueError(
                f"unlabeled: expected a label, such as 255, got {unlabeled!r}; for "
                "masks that are pictures, pass the colors of the classes as colors."
            )
        read = partial(_read_marked, masks, int(unlabeled), None)
        return LazySequence(read, range(len(masks)))
    table = np.asarray(colors)
    color = np.asarray(unlabeled)
    if table.ndim != 2 or table.shape[1] != 3 or table.dtype.kind not in "iu":
        raise ValueError(
            "colors: expected one RGB color of integers per class, shape "
            f"(n_classes, 3), got dtype {table.dtype} and shape {table.shape}."
        )
    if color.shape != (3,) or color.dtype.kind not in "iu":
        raise ValueError(
            "unlabeled: expected the RGB color of unlabeled pixels, such as "
            f"(255, 255, 255), got {unlabeled!r}."
        )
    if len(np.unique(np.vstack([table, color]), axis=0)) <= len(table):
        raise ValueError(
            "colors: expected distinct colors, none of them that of unlabeled pixels "
            f"{color.tolist()}, got {table.tolist()}."
        )
    read = partial(_read_marked, masks, tuple(color.tolist()), table.astype(np.int64))
    return LazySequence(read, range(len(masks)))


def _read_marked(
    masks: Sequence[Any],
    unlabeled: int | tuple[int, ...],
    colors: NDArray[np.int64] | None,
    i: int,
) -> NDArray[Any]:
    mask, name = masks[i], f"masks[{i}]"
    refuse_path(mask, name, _READ)
    mask = np.asarray(mask)
    if colors is None:
        return _replace_label(mask, unlabeled, name)
    return _labels_of_colors(mask, colors, unlabeled, name)


def _replace_label(mask: NDArray[Any], unlabeled: Any, name: str) -> NDArray[Any]:
    if mask.ndim == 3:
        raise ValueError(
            f"{name}: expected labels of shape (height, width), got the picture shape "
            f"{mask.shape}; pass the colors of the classes as colors."
        )
    if mask.dtype.kind not in "iub":
        raise ValueError(
            f"{name}: expected integer class labels, got dtype {mask.dtype}."
        )
    marked = mask == unlabeled
    if unlabeled != UNLABELED and mask.dtype.kind == "i" and (mask == UNLABELED).any():
        raise ValueError(
            f"{name}: expected {unlabeled} to mark the unlabeled pixels, got -1 too; "
            "use one of them for all."
        )
    large = mask.dtype == np.uint64  # no signed type holds all its values
    dtype = np.int64 if large else np.promote_types(mask.dtype, np.int8)
    signed = mask.astype(dtype)
    signed[marked] = UNLABELED
    return signed


def _labels_of_colors(
    picture: NDArray[Any], colors: NDArray[np.int64], unlabeled: Any, name: str
) -> NDArray[Any]:
    if picture.ndim != 3 or picture.shape[2] != 3 or picture.dtype.kind not in "iu":
        raise ValueError(
            f"{name}: expected a picture of integers of shape (height, width, 3), got "
            f"dtype {picture.dtype} and shape {picture.shape}."
        )
    labels = np.full(picture.shape[:2], -2, np.min_scalar_type(-len(colors) - 1))
    for label, color in [(UNLABELED, unlabeled), *enumerate(colors)]:
        labels[(picture == color).all(axis=2)] = label
    unknown = labels == -2
    if unknown.any():
        row, column = np.argwhere(unknown)[0]
        raise ValueError(
            f"{name}: expected the colors of the classes, or {list(unlabeled)}, got "
            f"{picture[row, column].tolist()} at row {row}, column {column}; list the "
            "color, or paint without soft edges."
        )
    return labels


def _check_mask(mask: Any, name: str, shape: tuple[int, int]) -> NDArray[Any]:
    refuse_path(mask, name, _READ)
    refuse_masked(mask, name, "fill in the label of unlabeled pixels, mask.filled(-1)")
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
            f"{mask.shape if mask.ndim else repr(mask.item())}."
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
