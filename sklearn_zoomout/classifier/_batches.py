"""Rows of a table as a dataset of torch, and their batches."""

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.data import DataLoader, Dataset, IterableDataset, Sampler

from ..table import FeatureTable
from ._row_windows import (
    read_windows,
    rows_of_window,
    skip_batches,
    split_into_windows,
)

#: Features and classes of some rows.
Batch = tuple[NDArray[np.float32], NDArray[np.int64]]


class TableRows(Dataset):
    """Some rows of a table and their classes. The table is not copied.

    All batches are copied into one array. A new array for every batch would cause page
    faults in new memory. They took 2 to 14 % of an epoch of 50,000 rows of 840 columns.

    Parameters
    ----------
    table : FeatureTable
        The features.
    rows : ndarray of integers of shape (n_rows,)
        Row numbers.
    targets : ndarray of integers of shape (n_rows,)
        Their classes, 0 to n_classes - 1.
    """

    def __init__(
        self, table: FeatureTable, rows: NDArray[Any], targets: NDArray[Any]
    ) -> None:
        self.table, self.rows, self.targets = table, rows, targets
        self._buffer = np.empty((0, table.n_columns), np.float32)

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, positions: Any) -> Batch:
        """Return the row of an integer, or a batch, valid until the next is read."""
        chosen = np.atleast_1d(positions)
        if len(chosen) > len(self._buffer):
            self._buffer = np.empty((len(chosen), self.table.n_columns), np.float32)
        values = self.table.take(self.rows[chosen], out=self._buffer[: len(chosen)])
        if np.ndim(positions) == 0:
            return values[0].copy(), self.targets[positions]
        return values, self.targets[chosen]


class EvenBatches(Sampler[NDArray[np.int64]]):
    """Positions of the rows of each batch.

    Batches differ in size by at most one row. Every batch is one step of the training,
    so a last batch of a few rows would have too much influence.

    Parameters
    ----------
    n_rows : int
        Number of rows.
    batch_size : int
        The largest number of rows of a batch.
    rng : numpy.random.Generator, default=None
        Draws a new order for every epoch. None keeps the order.
    n_skipped : int, default=0
        Number of batches of an epoch to skip, because an earlier training had them.
    """

    def __init__(
        self,
        n_rows: int,
        batch_size: int,
        rng: np.random.Generator | None = None,
        n_skipped: int = 0,
    ) -> None:
        self.n_rows, self.rng, self.n_skipped = n_rows, rng, n_skipped
        self.n_batches = math.ceil(n_rows / batch_size)

    def __len__(self) -> int:
        return self.n_batches - self.n_skipped

    def __iter__(self) -> Iterator[NDArray[np.int64]]:
        order = np.arange(self.n_rows)
        if self.rng is not None:
            order = self.rng.permutation(self.n_rows)
        # In ascending order, neighboring rows are read together.
        return map(np.sort, np.array_split(order, self.n_batches)[self.n_skipped :])


class RowsInFiles(IterableDataset):
    """Batches of the rows of a table in files.

    Such a table may not fit in memory, and a disk is slow to read single rows. A large
    window of rows is read at a time, while the network trains on the one before. It
    consists of short runs of rows from all over the table. The batches of a window are
    drawn from all its rows.

    Parameters
    ----------
    rows : TableRows
        The rows.
    batch_size : int
        The largest number of rows of a batch.
    rng : numpy.random.Generator, default=None
        Draws a new order for every epoch. None keeps the order.
    n_skipped : int, default=0
        Number of batches of an epoch to skip. They are not read.
    """

    def __init__(
        self,
        rows: TableRows,
        batch_size: int,
        rng: np.random.Generator | None = None,
        n_skipped: int = 0,
    ) -> None:
        self.rows, self.rng, self.n_skipped = rows, rng, n_skipped
        self.n_batches = math.ceil(len(rows) / batch_size)

    def __len__(self) -> int:
        return self.n_batches - self.n_skipped

    def __iter__(self) -> Iterator[Batch]:
        data = self.rows
        window = rows_of_window(data.table.n_columns)
        windows = split_into_windows(len(data), self.n_batches, window, self.rng)
        windows = skip_batches(windows, self.n_skipped)
        for chosen, values in read_windows(data.table, data.rows, windows):
            yield values, data.targets[chosen]


def load_batches(
    rows: TableRows,
    batch_size: int,
    rng: np.random.Generator | None = None,
    n_skipped: int = 0,
) -> DataLoader:
    """Return torch's loader of the batches of an epoch.

    Parameters
    ----------
    rows : TableRows
        The rows.
    batch_size : int
        The largest number of rows of a batch.
    rng : numpy.random.Generator, default=None
        Draws a new order for every epoch. None keeps the order.
    n_skipped : int, default=0
        Number of batches to skip.

    Returns
    -------
    torch.utils.data.DataLoader
        Its batches are pairs of tensors, float32 of shape (n, n_columns) and int64 of
        shape (n,). The features of a batch are valid until the next batch is drawn.
    """
    # The loader draws from its generator, and otherwise from torch's global one.
    options: dict[str, Any] = {"batch_size": None, "generator": torch.Generator()}
    if rows.table.in_files:
        in_files = RowsInFiles(rows, batch_size, rng, n_skipped)
        return DataLoader(in_files, **options)
    sampler = EvenBatches(len(rows), batch_size, rng, n_skipped)
    return DataLoader(rows, sampler=sampler, **options)
