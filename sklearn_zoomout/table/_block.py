"""A block: the columns of a feature table that one transformer computed."""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from itertools import chain, count
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._utils.memory_maps import is_mapped
from ._checksums import RowChecks


@dataclass(frozen=True)
class Block:
    """The columns that one transformer computed.

    Attributes
    ----------
    name : str
        The name of the zoom-out level, such as "local".
    columns : tuple of str
        The names of the columns.
    values : ndarray of shape (n_rows, n_columns) or (n_images, n_columns)
        One row per superpixel, or one row per image if ``per_image``. The values of a
        `numpy.memmap` stay in its file. Call `check` before you read them.
    per_image : bool
        Whether all superpixels of an image share one row of ``values``.
    checks : RowChecks, default=None
        The checksums of the file of ``values``.
    """

    name: str
    columns: tuple[str, ...]
    values: NDArray[Any]
    per_image: bool = False
    checks: RowChecks | None = field(default=None, repr=False, compare=False)

    def check(self, images: NDArray[Any] | None = None) -> None:
        """Raise an error if values of images are damaged in their file.

        Parameters
        ----------
        images : ndarray of integers of shape (n,), default=None
            Numbers of images. None is all.

        Raises
        ------
        ValueError
            If a checksum is wrong. Each is computed once.
        """
        if self.checks is not None:
            self.checks.check(self.values, images)

    @property
    def in_file(self) -> bool:
        """Whether the values are read from a file when they are used."""
        return is_mapped(self.values)

    def __reduce__(self) -> Any:
        # The pickle of a block in a file names the file. NumPy's own pickle of a
        # memmap would contain the values.
        if not self.in_file:
            state = (self.name, self.columns, self.values, self.per_image)
            return _block_in_memory, state
        values: Any = self.values
        rest = self.per_image, self.checks
        source = str(values.filename), values.dtype, values.shape, values.offset
        return _block_in_file, (self.name, self.columns, *source, *rest)


def _block_in_memory(
    name: str, columns: tuple[str, ...], values: NDArray[Any], per_image: bool
) -> Block:
    # joblib sends large arrays to its processes as maps of temporary files. Such a map
    # must not count as a block in a file, since joblib deletes the file.
    return Block(name, columns, np.asarray(values), per_image)


def _block_in_file(
    name: str,
    columns: tuple[str, ...],
    path: str,
    dtype: Any,
    shape: tuple[int, ...],
    offset: int,
    per_image: bool,
    checks: RowChecks | None,
) -> Block:
    values = np.memmap(path, dtype, mode="r", offset=offset, shape=shape)
    return Block(name, columns, values, per_image, checks)


def number_repeated_names(blocks: Iterable[Block]) -> list[Block]:
    """Append a number to the name of each block whose name is taken.

    Parameters
    ----------
    blocks : iterable of Block
        The blocks.

    Returns
    -------
    list of Block
        The second block of the name "local" is "local_2", the third is "local_3".
    """
    numbered: dict[str, Block] = {}
    for block in blocks:
        candidates = chain([block.name], (f"{block.name}_{i}" for i in count(2)))
        name = next(name for name in candidates if name not in numbered)
        numbered[name] = replace(block, name=name)
    return list(numbered.values())
