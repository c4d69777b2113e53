"""The feature table: samples are images, rows are superpixels, columns are features."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from functools import cached_property
from numbers import Integral
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._utils.memory_maps import forget_pages
from ..superpixels import Superpixels
from ._block import Block, number_repeated_names
from ._moments import mean_and_scale


class FeatureTable:
    """Features of the superpixels of a sequence of images.

    For scikit-learn a table is a container of ``len(table)`` samples, the images. It
    can be indexed by images, and tables of the same images can be stacked by
    `numpy.concatenate` with ``axis=1``, as `sklearn.pipeline.FeatureUnion` does.
    Indexing, stacking and selecting return views. Feature values are copied only by
    `take`, `batches`, `to_numpy` and `compact`.

    Parameters
    ----------
    superpixels : Superpixels
        The superpixels that the rows describe.
    blocks : iterable of Block
        The columns. Each block contains the rows of all superpixels, or of all images
        if it is ``per_image``.

    Attributes
    ----------
    shape : tuple of int
        The number of images and the number of columns.
    n_rows : int
        The number of superpixels.
    columns : list of str
        The names of the columns, such as "local__texton_07".
    row_offsets : ndarray of int64 of shape (n_images + 1,)
        Image i has the rows ``row_offsets[i]`` up to ``row_offsets[i + 1]``.

    Raises
    ------
    ValueError
        If the values of a block have the wrong shape.

    Notes
    -----
    ``numpy.asarray(table)`` is an object array of shape (n_images, n_columns). Each of
    its cells is the table of one image. After
    ``sklearn.set_config(transform_output="pandas")`` a `pandas.DataFrame` contains
    these cells, and `check_table` returns the table of such a frame. `to_numpy` returns
    the features as numbers.

    The second block of a name that is stacked gets a number, such as "local_2".
    `rename_blocks` gives the blocks other names.

    Examples
    --------
    >>> from sklearn_zoomout import LocalFeatures, SuperpixelSegmenter
    >>> from sklearn_zoomout.datasets import make_scenes
    >>> images, masks = make_scenes(n_images=3, random_state=0)
    >>> superpixels = SuperpixelSegmenter(n_segments=50).fit_transform(images)
    >>> features = LocalFeatures(descriptors=("color", "location"))
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
        # The pickle of a view contains only the images of the view. The pickle of a
        # table in files contains the names of the files, so that nothing is copied.
        table = self if self.in_files else self.compact()
        return {"blocks": table.blocks, "_base": table._base, "_images": table._images}

    def __len__(self) -> int:
        return len(self._images)

    @property
    def shape(self) -> tuple[int, int]:
        """The number of images and the number of columns."""
        return len(self), self.n_columns

    @property
    def ndim(self) -> int:
        """Always 2, as for `shape`."""
        return 2

    @property
    def in_files(self) -> bool:
        """Whether any values are read from files when they are used."""
        return any(block.in_file for block in self.blocks)

    @property
    def n_rows(self) -> int:
        """The number of superpixels."""
        return int(self.row_offsets[-1])

    @property
    def n_columns(self) -> int:
        """The number of features."""
        return sum(len(block.columns) for block in self.blocks)

    @property
    def columns(self) -> list[str]:
        """The names of the features. Each begins with the name of its block."""
        return [f"{b.name}__{column}" for b in self.blocks for column in b.columns]

    @property
    def block_names(self) -> list[str]:
        """The names of the blocks, in the order of their columns."""
        return [block.name for block in self.blocks]

    @cached_property
    def superpixels(self) -> Superpixels:
        """The superpixels that the rows describe."""
        if np.array_equal(self._images, np.arange(len(self._base))):
            return self._base
        return self._base[self._images]

    @cached_property
    def row_offsets(self) -> NDArray[np.int64]:
        """The first row of each image, of shape (n_images + 1,)."""
        counts = np.diff(self._base.row_offsets)[self._images]
        return np.concatenate([[0], np.cumsum(counts)])

    @cached_property
    def image_of_row(self) -> NDArray[np.int64]:
        """The position of the image of each row, of shape (n_rows,)."""
        return self.superpixels.image_of_row

    @cached_property
    def _base_rows(self) -> NDArray[np.int64]:
        shift = self._base.row_offsets[self._images] - self.row_offsets[:-1]
        return np.arange(self.n_rows) + np.repeat(shift, np.diff(self.row_offsets))

    def __getitem__(self, key: Any) -> "FeatureTable":
        """Return a view of some images. An integer selects a table of one image."""
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
        """Return a view of the blocks of these names, in the order of the table.

        Parameters
        ----------
        names : sequence of str
            Names among `block_names`.

        Returns
        -------
        FeatureTable

        Raises
        ------
        ValueError
            If there is no block of one of the names.
        """
        unknown = set(names) - set(self.block_names)
        if isinstance(names, str) or unknown:
            raise ValueError(
                f"expected a list of names among {self.block_names}, got {names!r}."
            )
        return self._view(blocks=[b for b in self.blocks if b.name in names])

    def rename_blocks(self, names: Sequence[str]) -> "FeatureTable":
        """Return a view whose blocks have these names.

        Parameters
        ----------
        names : sequence of str
            A name for each block, in the order of `block_names`.

        Returns
        -------
        FeatureTable

        Raises
        ------
        ValueError
            If the number of names differs from the number of blocks, or a name occurs
            twice.
        """
        n_blocks = len(self.blocks)
        if isinstance(names, str) or len(names) != n_blocks:
            raise ValueError(
                f"names: expected a list of {n_blocks} names, one for each of the "
                f"blocks {self.block_names}, got {names!r}."
            )
        if len(set(names)) < n_blocks:
            raise ValueError(f"names: expected different names, got {list(names)}.")
        pairs = zip(self.blocks, names, strict=True)
        return self._view(blocks=[replace(block, name=name) for block, name in pairs])

    def take(
        self, rows: NDArray[Any], out: NDArray[np.float32] | None = None
    ) -> NDArray[np.float32]:
        """Return a copy of some rows.

        Parameters
        ----------
        rows : ndarray of integers of shape (n,)
            Row numbers, 0 to ``n_rows - 1``.
        out : ndarray of float32 of shape (n, n_columns), optional
            The array to write to. By default a new one is made.

        Returns
        -------
        ndarray of float32 of shape (n, n_columns)

        Raises
        ------
        ValueError
            If the rows are in a file, and those of an image are damaged.
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
            block.check(base_images)
            out[:, start:stop] = block.values[index]
            forget_pages(block.values)
            start = stop
        return out

    def batches(self, size: int = 4096) -> Iterator[NDArray[np.float32]]:
        """Yield copies of all rows in order, ``size`` rows at a time.

        Parameters
        ----------
        size : int, default=4096
            The number of rows of a batch. The last batch can be shorter.

        Yields
        ------
        ndarray of float32 of shape (n, n_columns)
        """
        for start in range(0, self.n_rows, size):
            yield self.take(np.arange(start, min(start + size, self.n_rows)))

    def mean_and_scale(
        self, rows: NDArray[Any] | None = None
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return the mean and standard deviation of each column.

        The rows are read once.

        Parameters
        ----------
        rows : ndarray of integers of shape (n,), optional
            The rows to use. By default all rows are used.

        Returns
        -------
        mean, scale : ndarray of float64 of shape (n_columns,)
            ``scale`` is 1 for a constant column.
        """
        rows = np.arange(self.n_rows) if rows is None else np.asarray(rows)
        return mean_and_scale(self.take, rows)

    def to_numpy(self) -> NDArray[np.float32]:
        """Return a copy of all rows, float32 of shape (n_rows, n_columns)."""
        return self.take(np.arange(self.n_rows))

    def compact(self) -> "FeatureTable":
        """Return a table of only the images of this view.

        Returns
        -------
        FeatureTable
            The table itself if it contains all images, else a copy.
        """
        if self.superpixels is self._base:
            return self
        for block in self.blocks:
            block.check(self._images)
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
                f"expected dtype object for the table of each image, got {dtype}; use "
                "table.to_numpy() for the rows of a FeatureTable as numbers."
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
    """Return a table of the columns of all tables, which have the same superpixels."""
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
        # Tables from other processes have equal superpixels, but not the same objects.
        # Views are copied so that the rows of all tables correspond.
        tables = [table.compact() for table in tables]
    blocks = number_repeated_names(b for table in tables for b in table.blocks)
    return tables[0]._view(blocks=blocks)
