"""Mean and standard deviation of columns that do not fit in memory together."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

_ROWS_AT_ONCE = 4096


def mean_and_scale(
    take: Callable[[NDArray[np.int64]], NDArray[np.float32]], rows: NDArray[np.int64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Compute the mean and standard deviation of each column, reading each row once.

    Parameters
    ----------
    take : callable
        Returns a copy of the rows of an array of row numbers.
    rows : ndarray of int64 of shape (n,)
        The rows to use.

    Returns
    -------
    mean, scale : ndarray of float64 of shape (n_columns,)
        ``scale`` is 1 for a constant column.
    """
    # Sums of squares lose no digits if a guess of the mean is subtracted first.
    guess = take(rows[:_ROWS_AT_ONCE]).mean(axis=0)
    total, squares = np.zeros((2, len(guess)))
    for start in range(0, len(rows), _ROWS_AT_ONCE):
        values = take(rows[start : start + _ROWS_AT_ONCE])
        values -= guess
        total += values.sum(axis=0, dtype=np.float64)
        squares += np.einsum("ij,ij->j", values, values)
    offset = total / len(rows)
    variance = np.maximum(squares / len(rows) - offset**2, 0)
    constant = variance <= 1e-10 * np.maximum((guess + offset) ** 2, 1e-20)
    return guess + offset, np.where(constant, 1.0, np.sqrt(variance))
