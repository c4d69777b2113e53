"""Label maps: their boundaries, and the numbers of their labels."""

from typing import Any

import numpy as np
from numpy.typing import NDArray


def borders(segments: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return the labels of all pairs of adjacent pixels whose labels differ.

    Parameters
    ----------
    segments : ndarray of integers of shape (height, width)
        A label map.

    Returns
    -------
    one, other : ndarray of shape (n_boundaries,)
        The labels of both pixels. First come the pairs of left and right pixels, then
        the pairs of upper and lower pixels, each in row-major order.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_zoomout.superpixels._label_maps import borders
    >>> borders(np.array([[1, 1, 2], [1, 3, 3]]))
    (array([1, 1, 1, 2]), array([2, 3, 3, 3]))
    """
    flat, width = segments.ravel(), segments.shape[1]
    differ = flat[:-1] != flat[1:]
    differ[width - 1 :: width] = False  # the next pixel is in another row
    beside = np.flatnonzero(differ)
    below = np.flatnonzero(flat[:-width] != flat[width:])
    one = flat[np.concatenate([beside, below])]
    other = flat[np.concatenate([beside + 1, below + width])]
    return one, other


def renumber(segments: NDArray[Any]) -> NDArray[np.int32]:
    """Return a copy of the label map, with labels from 0 in ascending order."""
    if segments.min() < 0 or segments.max() >= segments.size:
        numbers = np.unique(segments, return_inverse=True)[1]
        return numbers.reshape(segments.shape).astype(np.int32)
    # Small labels need no sorting.
    present = np.bincount(segments.ravel().astype(np.intp)) > 0
    if present.all():
        return segments.astype(np.int32)
    return (np.cumsum(present, dtype=np.int32) - 1)[segments]
