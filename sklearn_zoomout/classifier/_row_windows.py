"""Windows of rows of a table in files, which a thread reads ahead of the network."""

import itertools
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from ..table import FeatureTable

# Neighboring rows that are read together. 32 rows of a level of 4,096 columns are
# 512 kB of float32. Pieces of this length are read at the full speed of a disk.
_RUN = 32
# Two windows of this size are in memory: one is in use, one is being read. With 11,851
# columns a window has 5,662 rows, from 177 places of the table.
_WINDOW_BYTES = 2**28
# Rows in one call of `take`, which makes a second copy of them for a moment.
_AT_ONCE = 512

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")
#: The batches of a window, each an array of positions of rows.
Window = list[NDArray[np.int64]]


def rows_of_window(n_columns: int) -> int:
    """Return the number of rows of a window."""
    return max(1, _WINDOW_BYTES // (4 * max(1, n_columns)))


def split_into_windows(
    n_rows: int, n_batches: int, window: int, rng: np.random.Generator | None
) -> list[Window]:
    """Split rows into windows, and each window into batches.

    A window consists of runs of neighboring rows, which are read together. Its rows are
    shuffled before they become batches. The more rows a window has, the less its
    batches differ from batches that are drawn from all rows.

    Parameters
    ----------
    n_rows : int
        Number of rows.
    n_batches : int
        Number of batches. They differ in size by at most one row.
    window : int
        The largest number of rows of a window, unless a single batch is larger.
    rng : numpy.random.Generator or None
        Draws the order. None keeps it.

    Returns
    -------
    list of list of ndarray of int64
        The batches of every window. Each row is in one of them.
    """
    order = np.arange(n_rows)
    if rng is not None:
        starts = rng.permutation(np.arange(0, n_rows, _RUN))
        order = (starts[:, None] + np.arange(_RUN)).ravel()
        order = order[order < n_rows]
    batches = np.array_split(order, n_batches)  # views on the order
    size = max(1, window // len(batches[0]))
    windows = [batches[i : i + size] for i in range(0, n_batches, size)]
    ends = np.cumsum([sum(map(len, batches)) for batches in windows])
    if rng is not None:
        for rows in np.split(order, ends[:-1]):
            rng.shuffle(rows)
    return windows


def skip_batches(windows: Iterable[Window], n: int) -> list[Window]:
    """Return the windows without their first n batches, and without empty windows."""
    left = []
    for window in windows:
        if n < len(window):
            left.append(window[n:])
        n = max(0, n - len(window))
    return left


def read_windows(
    table: FeatureTable, rows: NDArray[Any], windows: Iterable[Window]
) -> Iterator[tuple[NDArray[np.int64], NDArray[np.float32]]]:
    """Yield batches of rows, while a thread reads the next window.

    Parameters
    ----------
    table : FeatureTable
        The features.
    rows : ndarray of integers
        Row numbers.
    windows : list of list of ndarray of int64
        Positions in ``rows``.

    Yields
    ------
    chosen : ndarray of int64 of shape (n,)
        The positions of a batch, in ascending order.
    values : ndarray of float32 of shape (n, n_columns)
        Their features. They are valid until the next batch is drawn.
    """
    windows = list(windows)
    if not windows:
        return
    largest = max(sum(map(len, window)) for window in windows)
    shape = largest, table.n_columns
    # One buffer is in use while the other is being filled.
    buffers = itertools.cycle([np.empty(shape, np.float32) for _ in range(2)])
    batch = np.empty((len(windows[0][0]), table.n_columns), np.float32)

    def read(
        item: tuple[Window, NDArray[np.float32]],
    ) -> tuple[Window, NDArray[np.int64], NDArray[np.float32]]:
        window, buffer = item
        chosen = np.sort(np.concatenate(window))
        for start in range(0, len(chosen), _AT_ONCE):
            part = chosen[start : start + _AT_ONCE]
            table.take(rows[part], out=buffer[start : start + len(part)])
        return window, chosen, buffer

    for window, held, buffer in read_ahead(read, zip(windows, buffers, strict=False)):
        for chosen in map(np.sort, window):
            values = batch[: len(chosen)]
            # Only with mode="clip" does take write into `out` without another copy.
            places = np.searchsorted(held, chosen)
            yield chosen, np.take(buffer, places, axis=0, out=values, mode="clip")


def read_ahead(
    read: Callable[[_Item], _Result], items: Iterable[_Item]
) -> Iterator[_Result]:
    """Yield ``read(item)`` for all items, while a thread reads the next one.

    An error in the thread is raised here. The thread ends with the iteration, also if
    an error ends it.
    """
    with ThreadPoolExecutor(1, thread_name_prefix="read-ahead") as pool:
        ahead: Future[_Result] | None = None
        for item in items:
            ready, ahead = ahead, pool.submit(read, item)
            if ready is not None:
                yield ready.result()
        if ahead is not None:
            yield ahead.result()
