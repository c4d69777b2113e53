"""The labels that occur in a mask."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

#: The label of pixels that have none.
UNLABELED = -1
# Labels below this are looked up in a table. A table for larger labels would be larger
# than a mask.
_LOOKUP_LIMIT = 65_536


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


def count_labels(mask: NDArray[Any]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the sorted distinct values of a mask, -1 included, and their pixels.

    Parameters
    ----------
    mask : ndarray of integers, of any shape
        Labels; -1 where there is none.

    Returns
    -------
    labels : ndarray of int64 of shape (n_labels,)
        The values.
    counts : ndarray of int64 of shape (n_labels,)
        How many pixels have them.
    """
    flat = mask.ravel()
    if flat.size and is_small(flat):
        lowest = int(flat.min())
        every = np.bincount(flat.astype(np.intp) - lowest)
        labels = np.flatnonzero(every)
        return labels + lowest, every[labels]
    labels, counts = np.unique(flat, return_counts=True)
    return labels.astype(np.int64), counts


def in_small_type(classes: NDArray[np.int64]) -> NDArray[Any]:
    """Return labels of classes in the smallest type that pictures can have.

    Parameters
    ----------
    classes : ndarray of int64 of shape (n_classes,)
        The labels, 0 or more.

    Returns
    -------
    ndarray of shape (n_classes,)
        uint8 up to 255, uint16 up to 65,535, and int64 above.
    """
    largest = int(classes.max(initial=0))
    if largest >= 2**16:
        return classes
    return classes.astype(np.uint8 if largest < 2**8 else np.uint16)
