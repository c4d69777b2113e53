"""`mark_unlabeled`: other conventions for unlabeled pixels."""

from collections.abc import Callable, Sequence
from functools import partial
from numbers import Integral
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .._utils.lazy import LazySequence
from ..images import check_sequence
from ._cures import as_array, refuse_large
from ._labels import UNLABELED


class MarkedMasks(LazySequence):
    """Masks in which unlabeled pixels become -1 when a mask is read.

    Parameters
    ----------
    read : callable
        Returns the mask of a position.
    items : sequence of int
        The positions.
    mark : int or tuple of int
        The label or the color of unlabeled pixels.

    Attributes
    ----------
    mark : int or tuple of int
        The label or the color of unlabeled pixels.
    is_whole : bool
        Whether these are all masks, and not a part such as a fold.
    """

    def __init__(
        self,
        read: Callable[[Any], NDArray[Any]],
        items: Sequence[int],
        mark: int | tuple[int, ...],
    ) -> None:
        super().__init__(read, items)
        self.mark = mark
        self._n_masks = len(items)

    @property
    def is_whole(self) -> bool:
        """Whether these are all masks, and not a part such as a fold."""
        return len(self) == self._n_masks


def mark_unlabeled(
    masks: Any, unlabeled: int | Sequence[int], *, colors: ArrayLike | None = None
) -> "MarkedMasks":
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

    Warns
    -----
    UnlabeledWarning
        Later, in ``fit``: if no pixel of all masks has the label or color.

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
        return MarkedMasks(read, range(len(masks)), int(unlabeled))
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
    mark = tuple(color.tolist())
    read = partial(_read_marked, masks, mark, table.astype(np.int64))
    return MarkedMasks(read, range(len(masks)), mark)


def _read_marked(
    masks: Sequence[Any],
    unlabeled: int | tuple[int, ...],
    colors: NDArray[np.int64] | None,
    i: int,
) -> NDArray[Any]:
    mask, name = masks[i], f"masks[{i}]"
    mask = as_array(mask, name)
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
    if mask.dtype.kind == "u" and mask.dtype.itemsize > 2:
        refuse_large(mask[~marked], name)
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
