"""Means of blocks of a large image, computed window by window."""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ._window import Window, split

# The number of values that are read at a time.
_N_VALUES = 4_000_000

Read = Callable[[Window], tuple[NDArray[Any], NDArray[np.bool_] | None]]


def block_means(
    read: Read,
    shape: tuple[int, int, int],
    height: int,
    width: int,
    block: tuple[int, int] | None = None,
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Average an image over the blocks of a coarse grid.

    Parameters
    ----------
    read : callable
        Returns the values of a `Window`, of shape (height, width, n_channels), and
        which of its pixels have data, or None for all.
    shape : tuple of int
        Height, width and number of channels of the image.
    height, width : int
        The size of the grid, at most that of the image.
    block : tuple of int, default=None
        Height and width of the blocks of the file. Windows are multiples of them.

    Returns
    -------
    means : ndarray of float64 of shape (height, width, n_channels)
        Without pixels that have no data; 0 where a block has none with data.
    counts : ndarray of int64 of shape (height, width)
        The numbers of pixels with data.
    """
    rows = np.arange(shape[0]) * height // shape[0]
    columns = np.arange(shape[1]) * width // shape[1]
    sums = np.zeros((height, width, shape[2]))
    counts = np.zeros((height, width), np.int64)
    for window in split(shape, *_window_size(shape, block or (1, 1))):
        values, valid = read(window)
        if valid is None:
            valid = np.ones(values.shape[:2], bool)
        else:
            values = np.where(valid[..., None], values, values.dtype.type(0))
        i, j = (
            line[part]
            for line, part in zip((rows, columns), window.slices, strict=True)
        )
        target = slice(i[0], i[-1] + 1), slice(j[0], j[-1] + 1)
        sums[target] += _sum_runs(values, i, j, np.float64)
        counts[target] += _sum_runs(valid, i, j, np.int64)
    return sums / np.maximum(counts, 1)[..., None], counts


def _window_size(shape: tuple[int, ...], block: tuple[int, int]) -> tuple[int, int]:
    """Return the size of windows of about ``_N_VALUES``, in whole blocks."""
    n_pixels = max(1, _N_VALUES // shape[2])
    width = min(_multiple(int(n_pixels**0.5), block[1]), shape[1])
    return min(_multiple(n_pixels // width, block[0]), shape[0]), width


def _multiple(size: int, of: int) -> int:
    return max(size // of, 1) * of


def _sum_runs(
    values: NDArray[Any], rows: NDArray[Any], columns: NDArray[Any], dtype: Any
) -> NDArray[Any]:
    """Sum over the rows, and the columns, that have the same number."""
    for axis, line in enumerate((rows, columns)):
        starts = np.flatnonzero(np.diff(line, prepend=-1))
        values = np.add.reduceat(values, starts, axis=axis, dtype=dtype)
    return values
