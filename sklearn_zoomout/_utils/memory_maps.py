"""Arrays in files that are mapped into memory."""

import mmap
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray


def open_map(path: str | Path, dtype: Any, shape: tuple[int, ...]) -> NDArray[Any]:
    """Map a file that contains the values of one array, to read them.

    Parameters
    ----------
    path : str or path
        The file.
    dtype : dtype
        The dtype of the values.
    shape : tuple of int
        The shape of the array.

    Returns
    -------
    ndarray
        A `numpy.memmap`. An array without values is in memory, since an empty file
        cannot be mapped.
    """
    if 0 in shape:
        return np.empty(shape, dtype)
    return np.memmap(path, dtype, mode="r", shape=shape)


def is_mapped(values: NDArray[Any]) -> bool:
    """Return whether an array is the whole map of a file, not a view of a part.

    Parameters
    ----------
    values : ndarray
        The array.

    Returns
    -------
    bool
        False for a map in Fortran order, whose rows are spread over the file.
    """
    whole = isinstance(values, np.memmap) and isinstance(values.base, mmap.mmap)
    return whole and values.flags.c_contiguous


def forget_pages(values: NDArray[Any]) -> None:
    """Release the memory of what was read of a mapped array.

    Otherwise the memory of the process would grow to the size of the file. The values
    stay in the file cache of the operating system and can be read again.

    Parameters
    ----------
    values : ndarray
        The array. Nothing is done if it is not mapped.
    """
    if is_mapped(values) and hasattr(mmap, "MADV_DONTNEED"):
        values.base.madvise(mmap.MADV_DONTNEED)  # type: ignore[union-attr]
