"""Arrays in files, mapped into memory: opened, told apart, let go of."""

import mmap
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray


def open_map(path: str | Path, dtype: Any, shape: tuple[int, ...]) -> NDArray[Any]:
    """Map a file that holds the values of an array and nothing else, to read them.

    Parameters
    ----------
    path : str or path
        The file.
    dtype : dtype
        What it holds.
    shape : tuple of int
        The shape of the array; one without values is made, as nothing can be mapped.

    Returns
    -------
    ndarray
    """
    if 0 in shape:
        return np.empty(shape, dtype)
    return np.memmap(path, dtype, mode="r", shape=shape)


def is_mapped(values: NDArray[Any]) -> bool:
    """Tell whether an array is a whole map of a file, not a view on a part of one.

    Rows of one in Fortran's order are spread over the file: it counts as memory.
    """
    whole = isinstance(values, np.memmap) and isinstance(values.base, mmap.mmap)
    return whole and values.flags.c_contiguous


def forget_pages(values: NDArray[Any]) -> None:
    """Let go of what was read of a mapped array.

    It stays in the system's cache of files, and can be read again, but no longer
    counts as memory of this process, which would grow to the size of the file.
    """
    if is_mapped(values) and hasattr(mmap, "MADV_DONTNEED"):
        values.base.madvise(mmap.MADV_DONTNEED)  # type: ignore[union-attr]
