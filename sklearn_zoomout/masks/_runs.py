"""Run lengths: how annotation programs store the pixels of an object."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray


def decode_runs(runs: Sequence[int], n_pixels: int) -> NDArray[np.bool_]:
    """Return the pixels of runs that lie outside and inside in turn.

    Parameters
    ----------
    runs : sequence of int
        Lengths of the runs. The first lies outside.
    n_pixels : int
        Their sum.

    Returns
    -------
    ndarray of bool of shape (n_pixels,)

    Raises
    ------
    ValueError
        If the lengths are negative or have another sum.

    Examples
    --------
    >>> from sklearn_zoomout.masks._runs import decode_runs
    >>> decode_runs([1, 2, 1], 4)
    array([False,  True,  True, False])
    """
    lengths = np.asarray(runs, dtype=np.int64)
    # Each one alone too: a sum of larger ones could overflow.
    fits = lengths.ndim == 1 and bool(((lengths >= 0) & (lengths <= n_pixels)).all())
    if not fits or lengths.sum() != n_pixels:
        raise ValueError(
            f"expected run lengths of {n_pixels} pixels, got a sum of {lengths.sum()}"
        )
    return np.repeat(np.arange(len(lengths)) % 2 == 1, lengths)


def decode_coco(text: str) -> list[int]:
    """Return the run lengths in a compressed string of COCO.

    Six bits stand in each character: five of a number, the lowest first, and whether it
    goes on. From the fourth number on, it is the difference to the last but one.

    Parameters
    ----------
    text : str
        The "counts" of a compressed segmentation.

    Returns
    -------
    list of int

    Raises
    ------
    ValueError
        If the string ends within a number.

    Examples
    --------
    >>> from sklearn_zoomout.masks._runs import decode_coco
    >>> decode_coco("52203")
    [5, 2, 2, 2, 5]
    """
    runs: list[int] = []
    number, n_bits = 0, 0
    for character in text.encode("ascii"):
        bits = character - 48
        number |= (bits & 31) << n_bits
        n_bits += 5
        if bits & 32:
            continue
        if bits & 16:  # negative
            number -= 1 << n_bits
        runs.append(number + (runs[-2] if len(runs) > 2 else 0))
        number, n_bits = 0, 0
    if n_bits:
        raise ValueError("expected compressed run lengths, got an unfinished string")
    return runs


def decode_brush(data: Sequence[int], n_values: int) -> NDArray[np.uint8]:
    """Return the bytes that Label Studio's brush packed.

    The format is that of the JavaScript package @thi.ng/rle-pack: a bit says whether a
    value is repeated, two bits how long its number of repetitions is, and a value that
    is not repeated is one of so many single ones.

    Parameters
    ----------
    data : sequence of int
        The "rle" of a result, bytes.
    n_values : int
        How many bytes they were.

    Returns
    -------
    ndarray of uint8 of shape (n_values,)
        The pixels of an RGBA picture, row by row.

    Raises
    ------
    ValueError
        If the data end too early, are not bytes, or of another number.
    """
    packed = np.asarray(data)
    are_bytes = packed.ndim == 1 and packed.dtype.kind == "i" and packed.size > 0
    if not are_bytes or packed.min() < 0 or packed.max() > 255:
        raise ValueError("expected the bytes of a brush, got other numbers")
    bits = np.unpackbits(packed.astype(np.uint8))
    stream = _Bits(bits)
    n_bytes, width = stream.read(32), stream.read(5) + 1
    sizes = [stream.read(4) + 1 for _ in range(4)]
    if width != 8:
        raise ValueError(f"expected a brush of 8 bits per value, got {width}")
    if n_bytes != n_values:
        raise ValueError(f"expected a brush of {n_values} values, got {n_bytes}")
    parts: list[NDArray[np.uint8]] = []
    n_read = 0
    while n_read < n_bytes:
        repeated = stream.read(1)
        length = 1 + stream.read(sizes[stream.read(2)])
        values = np.packbits(stream.take(width * (1 if repeated else length)))
        parts.append(np.repeat(values, length) if repeated else values)
        n_read += length
    return np.concatenate(parts)[:n_bytes]


class _Bits:
    """Numbers of any width, one after the other."""

    def __init__(self, bits: NDArray[np.uint8]) -> None:
        self._bits = bits
        self._position = 0

    def take(self, n_bits: int) -> NDArray[np.uint8]:
        stop = self._position + n_bits
        if stop > len(self._bits):
            raise ValueError("expected the bytes of a brush, got too few")
        taken = self._bits[self._position : stop]
        self._position = stop
        return taken

    def read(self, n_bits: int) -> int:
        number = 0
        for bit in self.take(n_bits).tolist():
            number = 2 * number + bit
        return number


def crop(inside: NDArray[Any]) -> tuple[NDArray[np.bool_], tuple[int, int]]:
    """Cut the smallest rectangle that holds all pixels of an object.

    Parameters
    ----------
    inside : ndarray of bool of shape (height, width)
        The pixels of the object.

    Returns
    -------
    patch : ndarray of bool
        The rectangle.
    corner : tuple of int
        Its upper left pixel, (row, column).
    """
    rows, columns = (np.flatnonzero(inside.any(axis=axis)) for axis in (1, 0))
    if len(rows) == 0:
        return np.zeros((0, 0), dtype=bool), (0, 0)
    patch = inside[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    return patch.astype(bool), (int(rows[0]), int(columns[0]))
