"""The feature table: samples are images, rows superpixels, columns features."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import chain, count
from numbers import Integral
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ._utils.mapped import forget_pages, is_mapped
from .superpixels import Superpixels

_ROWS_AT_ONCE = 4096


@dataclass(frozen=True)
class Block:
    """Columns that one transformer computed.

    Attributes
    ----------
    name : str
        The zoom-out level, such as "local".
    columns : tuple of str
        Names of the columns.
    values : ndarray of shape (n_rows, n_columns) or (n_images, n_columns)
        A row for each superpixel, or for each image when ``per_image``; a
        `numpy.memmap` stays in its file.
    per_image : bool
        Whether all superpixels of an image share one row of ``values``.
    """

    name: str
    columns: tuple[str, ...]
    values: NDArray[Any]
    per_image: bool = False

    @property
    def in_file(self) -> bool:
        """Whether the values are read from a file when they are asked for."""
        return is_mapped(self.values)

    def __reduce__(self) -> Any:
        # A pickle of a map names the file; numpy's own would hold the values.
        if not self.in_file:
            state = (self.name, self.columns, self.values, self.per_image)
            return _block_in_memory, state
        values: Any = self.values
        source = str(values.filename), values.dtype, values.shape, values.offset
        return _map_block, (self.name, self.columns, *source, self.per_image)


def _block_in_memory(
    name: str, columns: tuple[str, ...], values: NDArray[Any], per_image: bool
) -> Block:
    # joblib hands large arrays to its processes as maps of files that soon disappear.
    return Block(name, columns, np.asarray(values), per_image)


def _map_block(
    name: str,
    columns: tuple[str, ...],
    path: str,
    dtype: Any,
    shape: tuple[int, ...],
    offset: int,
    per_image: bool,
) -> Block:
    values = np.memmap(path, dtype, mode="r", offset=offset, shape=shape)
    return Block(name, columns, values, per_image)


class FeatureTable:
    """Features of the superpixels of a sequence of images.

    scikit-learn sees a container of ``len(table)`` samples, the images, which it
    can index and stack (`numpy.concatenate` with ``axis=1``, as
    `sklearn.pipeline.FeatureUnion` does). Indexing, stacking and selecting give
    views: no feature value is copied before `take` or `to_numpy` asks for it.

    Parameters
    ----------
    superpixels : Superpixels
        The superpixels that the rows describe.
    blocks : iterable of Block
        The columns; each block holds the rows of all of ``superpixels``.

    Attributes
    ----------
    shape : tuple of int
        Number of images and number of columns.
    n_rows : int
        Number of superpixels.
    columns : list of str
        Names of the columns, such as "local__texton_07".
    row_offsets : ndarray of int64 of shape (n_images + 1,)
        Image i has the rows ``row_offsets[i]`` up to ``row_offsets[i + 1]``.

    Notes
    -----
    ``numpy.asarray(table)`` gives an object array of shape (n_images, n_columns)
    whose cells are the one-image tables. This is what `pandas.DataFrame` holds
    after ``sklearn.set_config(transform_output="pandas")``, and what `check_table`
    turns back into a table. For numbers, use `to_numpy`.

    Examples
    --------
    >>> from sklearn_zoomout import LocalFeatures, SuperpixelSegmenter
    >>> from sklearn_zoomout.datasets import make_scenes
    >>> images, masks = make_scenes(n_images=3, random_state=0)
    >>> superpixels = SuperpixelSegmenter(n_segments=50).fit_transform(images)
    >>> features = LocalFeatures(blocks=("color", "location"))
    >>> table = features.fit_transform(superpixels)
    >>> table.shape
    (3, 247)
    >>> table[[0, 2]].n_rows == superpixels[0].n_segments + superpixels[2].n_segments
    True
    >>> table.to_numpy().shape == (superpixels.n_rows, 247)
    True
    """

    def __init__(self, superpixels: Superpixels, blocks: Iterable[Block]) -> None:
        self.blocks = tuple(blocks)
        self._base = superpixels
        self._images = np.arange(len(superpixels))
        for block in self.blocks:
            self._check_block(block)

    def _check_block(self, block: Block) -> None:
        n_rows = len(self._base) if block.per_image else self._base.n_rows
        expected = (n_rows, len(block.columns))
        if block.values.shape != expected:
            raise ValueError(
                f"block {block.name!r}: expected values of shape {expected}, got "
                f"{block.values.shape}."
            )

    def _view(
        self, images: NDArray[Any] | None = None, blocks: Iterable[Block] | None = None
    ) -> "FeatureTable":
        view = FeatureTable.__new__(FeatureTable)
        view.blocks = self.blocks if blocks is None else tuple(blocks)
        view._base = self._base
        view._images = self._images if images is None else images
        return view

    def __repr__(self) -> str:
        levels = ", ".join(f"{b.name}: {len(b.columns)}" for b in self.blocks)
        return (
            f"{type(self).__name__}({len(self)} images, {self.n_rows} superpixels, "
            f"{self.n_columns} columns; {levels})"
        )

    def __getstate__(self) -> dict[str, Any]:
        # A pickle holds the images of the view, not of all it was cut from; of a table
        # in files it holds their names, and of what is in them nothing is copied.
        table = self if self.in_files else self.compact()
        return {"blocks": table.blocks, "_base": table._base, "_images": table._images}

    def __len__(self) -> int:
        return len(self._images)

    @property
    def shape(self) -> tuple[int, int]:
        """Number of images and number of columns."""
        return len(self), self.n_columns

    @property
    def ndim(self) -> int:
        """Always 2, as for `shape`."""
        return 2

    @property
    def in_files(self) -> bool:
        """Whether values are read from files when they are asked for."""
        return any(block.in_file for block in self.blocks)

    @property
    def n_rows(self) -> int:
        """Number of superpixels."""
        return int(self.row_offsets[-1])

    @property
    def n_columns(self) -> int:
        """Number of features."""
        return sum(len(block.columns) for block in self.blocks)

    @property
    def columns(self) -> list[str]:
        """Names of the features, each behind the name of its block."""
        return [f"{b.name}__{column}" for b in self.blocks for column in b.columns]

    @property
    def block_names(self) -> list[str]:
        """Names of the blocks, in the order of their columns."""
        return [block.name for block in self.blocks]

    @cached_property
    def superpixels(self) -> Superpixels:
        """The superpixels that the rows describe."""
        if np.array_equal(self._images, np.arange(len(self._base))):
            return self._base
        return self._base[self._images]

    @cached_property
    def row_offsets(self) -> NDArray[np.int64]:
        """Where the rows of each image begin, of shape (n_images + 1,)."""
        counts = np.diff(self._base.row_offsets)[self._images]
        return np.concatenate([[0], np.cumsum(counts)])

    @cached_property
    def image_of_row(self) -> NDArray[np.int64]:
        """Position of the image of each row, of shape (n_rows,)."""
        return np.repeat(np.arange(len(self)), np.diff(self.row_offsets))

    @cached_property
    def _base_rows(self) -> NDArray[np.int64]:
        shift = self._base.row_offsets[self._images] - self.row_offsets[:-1]
        return np.arange(self.n_rows) + np.repeat(shift, np.diff(self.row_offsets))

    def __getitem__(self, key: Any) -> "FeatureTable":
        """Return a view on some of the images; an integer gives a table of one."""
        if isinstance(key, tuple):  # scikit-learn indexes arrays as X[rows, ...]
            if len(key) != 2 or key[1] not in (Ellipsis, slice(None)):
                raise IndexError(
                    "a FeatureTable is indexed by images only; use select() for "
                    "blocks of columns."
                )
            key = key[0]
        if isinstance(key, Integral):
            key = [int(key)]
        return self._view(images=self._images[key])

    def __iter__(self) -> Iterator["FeatureTable"]:
        return (self[i] for i in range(len(self)))

    def select(self, names: Sequence[str]) -> "FeatureTable":
        """Return a view with the blocks of these names, in their present order.

        Parameters
        ----------
        names : sequence of str
            Names among `block_names`.

        Returns
        -------
        FeatureTable
        """
        unknown = set(names) - set(self.block_names)
        if isinstance(names, str) or unknown:
            raise ValueError(
                f"expected a list of names among {self.block_names}, got {names!r}."
            )
        return self._view(blocks=[b for b in self.blocks if b.name in names])

    def rename_blocks(self, names: Sequence[str]) -> "FeatureTable":
        """Return a view whose blocks have other names."""
        pairs = zip(self.blocks, names, strict=True)
        return self._view(blocks=[replace(b, name=name) for b, name in pairs])

    def take(
        self, rows: NDArray[Any], out: NDArray[np.float32] | None = None
    ) -> NDArray[np.float32]:
        """Copy some rows.

        Parameters
        ----------
        rows : ndarray of integers of shape (n,)
            Row numbers, 0 to ``n_rows - 1``.
        out : ndarray of float32 of shape (n, n_columns), optional
            Where to write; made if not given.

        Returns
        -------
        ndarray of float32 of shape (n, n_columns)
        """
        rows = np.asarray(rows)
        if out is None:
            out = np.empty((len(rows), self.n_columns), dtype=np.float32)
        base_rows = self._base_rows[rows]
        base_images = self._images[self.image_of_row[rows]]
        start = 0
        for block in self.blocks:
            stop = start + len(block.columns)
            index = base_images if block.per_image else base_rows
            out[:, start:stop] = block.values[index]
            forget_pages(block.values)
            start = stop
        return out

    def batches(self, size: int = _ROWS_AT_ONCE) -> Iterator[NDArray[np.float32]]:
        """Yield all rows in order, ``size`` at a time."""
        for start in range(0, self.n_rows, size):
            yield self.take(np.arange(start, min(start + size, self.n_rows)))

    def mean_and_scale(
        self, rows: NDArray[Any] | None = None
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Mean and standard deviation of each column, in one pass over the rows.

        Parameters
        ----------
        rows : ndarray of integers, optional
            The rows to look at; by default all.

        Returns
        -------
        mean, scale : ndarray of float64 of shape (n_columns,)
            The standard deviation of a constant column is given as 1.
        """
        rows = np.arange(self.n_rows) if rows is None else np.asarray(rows)
        shift = self.take(rows[:_ROWS_AT_ONCE]).mean(axis=0)
        total = np.zeros(self.n_columns)
        squares = np.zeros(self.n_columns)
        for start in range(0, len(rows), _ROWS_AT_ONCE):
            # Sums of squares around a first guess of the mean lose no digits.
            values = self.take(rows[start : start + _ROWS_AT_ONCE])
            values -= shift
            total += values.sum(axis=0, dtype=np.float64)
            squares += np.einsum("ij,ij->j", values, values)
        offset = total / len(rows)
        variance = np.maximum(squares / len(rows) - offset**2, 0)
        constant = variance <= 1e-10 * np.maximum((shift + offset) ** 2, 1e-20)
        return shift + offset, np.where(constant, 1.0, np.sqrt(variance))

    def to_numpy(self) -> NDArray[np.float32]:
        """Copy all rows into one array of shape (n_rows, n_columns)."""
        return self.take(np.arange(self.n_rows))

    def compact(self) -> "FeatureTable":
        """Copy a view's rows into a table of their own; a whole table is returned."""
        if self.superpixels is self._base:
            return self
        blocks = (
            Block(
                block.name,
                block.columns,
                block.values[self._images if block.per_image else self._base_rows],
                block.per_image,
            )
            for block in self.blocks
        )
        return FeatureTable(self.superpixels, blocks)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        if dtype is not None and np.dtype(dtype) != object:
            raise TypeError(
                "a FeatureTable has images as samples and superpixels as rows; use "
                "table.to_numpy() for its rows as an array."
            )
        cells = np.empty((len(self), 1), dtype=object)
        for i, table in enumerate(self):
            cells[i, 0] = table
        return np.broadcast_to(cells, self.shape)

    def __array_function__(
        self, func: Any, types: Any, args: Any, kwargs: Any
    ) -> "FeatureTable":
        if func is np.hstack:
            return _stack(args[0])
        axis = kwargs.get("axis", args[1] if len(args) > 1 else 0)
        if func is np.concatenate and axis == 1:
            return _stack(args[0])
        raise TypeError(
            f"numpy.{func.__name__} does not work on a FeatureTable; use "
            "table.to_numpy() for its rows as an array."
        )


def _stack(tables: Sequence[Any]) -> FeatureTable:
    """Put the columns of tables of the same superpixels side by side.

    A second block of the same name gets a number, so that columns stay distinct.
    """
    first = tables[0]
    for table in tables:
        if not isinstance(table, FeatureTable):
            raise TypeError(
                "cannot stack a FeatureTable with "
                f"{type(table).__name__}; every transformer of the union must "
                "return a FeatureTable (see RegionFeatures)."
            )
        if not np.array_equal(table.row_offsets, first.row_offsets):
            raise ValueError(
                f"cannot stack tables of different superpixels: {first} and {table}."
            )
    if any(
        table._base is not first._base or table._images is not first._images
        for table in tables
    ):
        # Tables that went through other processes hold equal superpixels, not
        # the same ones; views are made whole so that their rows correspond.
        tables = [table.compact() for table in tables]
    blocks: list[Block] = []
    for block in (block for table in tables for block in table.blocks):
        taken = {other.name for other in blocks}
        numbered = (f"{block.name}_{i}" for i in count(2))
        name = next(n for n in chain([block.name], numbered) if n not in taken)
        blocks.append(replace(block, name=name))
    return tables[0]._view(blocks=blocks)


def check_table(table: Any) -> FeatureTable:
    """Return the `FeatureTable` that was given, or that a pandas frame holds.

    Parameters
    ----------
    table : FeatureTable or pandas.DataFrame
        A frame is accepted if it was made from a table, as scikit-learn does
        after ``set_config(transform_output="pandas")``.

    Returns
    -------
    FeatureTable

    Raises
    ------
    TypeError
        If it is anything else.
    """
    if isinstance(table, FeatureTable):
        return table
    if hasattr(table, "iloc") and table.shape[0] and table.shape[1]:
        cells = list(table.iloc[:, 0])
        if all(isinstance(cell, FeatureTable) for cell in cells):
            return _join_images(cells)
    raise TypeError(
        f"expected a FeatureTable, got {type(table).__name__}; put a "
        "SuperpixelSegmenter and one of the feature transformers, or a FeatureUnion "
        "of them, before this step of the pipeline."
    )


def _join_images(cells: list[FeatureTable]) -> FeatureTable:
    """Undo ``__array__``: put tables of one image each one after the other."""
    first = cells[0]
    if all(c._base is first._base and c.blocks is first.blocks for c in cells):
        return first._view(images=np.concatenate([cell._images for cell in cells]))
    parts = [cell.compact() for cell in cells]
    blocks = (
        Block(
            block.name,
            block.columns,
            np.concatenate([part.blocks[i].values for part in parts]),
            block.per_image,
        )
        for i, block in enumerate(first.blocks)
    )
    return FeatureTable(Superpixels(s for p in parts for s in p.superpixels), blocks)
