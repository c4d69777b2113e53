"""Checksums of stored images: damage by a disk or a copy is found when it is read.

A chunk is what one file has of one image: its record, its label map, or its rows in a
block. CRC-32 finds every change of up to four neighboring bytes, and overlooks other
damage once in four billion cases.
"""

import zlib
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._utils.memory_maps import forget_pages
from ._layout import (
    CALL_AGAIN,
    IMAGES,
    MAX_SEGMENTS,
    SEGMENTS,
    byte_offsets,
    read_records,
    record_type,
)

# No image has a larger side, so that sums of products of sides do not overflow.
_MAX_SIDE = 2**24


def checksum(array: NDArray[Any]) -> int:
    """Return the CRC-32 of the bytes of an array in C order."""
    return zlib.crc32(np.ascontiguousarray(array).data)


def checksums_of_records(records: NDArray[Any], first: int = 0) -> NDArray[np.uint32]:
    """Compute the checksums of records.

    Parameters
    ----------
    records : ndarray of records of shape (n_images,)
        The records. Their own checksums are left out.
    first : int, default=0
        The number of the first image. It is part of the checksums, so that a record in
        the place of another is noticed.

    Returns
    -------
    ndarray of uint32 of shape (n_images,)
    """
    size = records.dtype.fields["checksum"][1]  # type: ignore[index]
    return np.array(
        [
            zlib.crc32(record.tobytes()[:size], first + i)
            for i, record in enumerate(records)
        ],
        np.uint32,
    )


def are_sound(records: NDArray[Any]) -> NDArray[np.bool_]:
    """Return whether the checksum of each record is right, and its numbers possible."""
    height, width = records["height"], records["width"]
    n_segments, nodata = records["n_segments"], records["nodata_segment"]
    return (
        (checksums_of_records(records) == records["checksum"])
        & ((height >= 1) & (height <= _MAX_SIDE))
        & ((width >= 1) & (width <= _MAX_SIDE))
        & ((n_segments >= 1) & (n_segments <= MAX_SEGMENTS))
        & ((nodata >= -1) & (nodata < n_segments) & (records["n_bands"] >= 0))
    )


def check_files(folder: Path, manifest: dict[str, Any]) -> NDArray[Any]:
    """Check the sizes of the files and the records of the finished images.

    Parameters
    ----------
    folder : path
        The folder.
    manifest : dict
        Its manifest.

    Returns
    -------
    ndarray of records of shape (n_done,)

    Raises
    ------
    ValueError
        If a record is damaged, or a file has another size.
    """
    found = {path.name: path.stat().st_size for path in folder.glob("*.bin")}
    itemsize = record_type(len(manifest["blocks"])).itemsize
    _check_size(folder, IMAGES, manifest["n_done"] * itemsize, found)
    records = read_records(folder, manifest)
    wrong = np.flatnonzero(~are_sound(records))
    if len(wrong):
        raise damaged(folder / IMAGES, f"the record of images[{wrong[0]}]")
    for name, offsets in byte_offsets(manifest, records).items():
        _check_size(folder, name, int(offsets[-1]), found)
    return records


def _check_size(folder: Path, name: str, size: int, found: dict[str, int]) -> None:
    if found.get(name, 0) != size:
        raise ValueError(
            f"{folder / name}: expected {size} bytes, got {found.get(name, 0)}; the "
            f"file is damaged. To mend it, {CALL_AGAIN}."
        )


def damaged(path: Path, what: str) -> ValueError:
    """Return the error that a part of a file is damaged."""
    return ValueError(
        f"{path}: {what} is damaged: its checksum is wrong. To mend it, {CALL_AGAIN}."
    )


def check_label_map(
    folder: Path, records: NDArray[Any], i: int, segments: NDArray[Any]
) -> None:
    """Raise an error if the label map of an image is damaged."""
    if checksum(segments) != records["checksums"][i, 0]:
        raise damaged(folder / SEGMENTS, f"the label map of images[{i}]")


class RowChecks:
    """The checksums of the rows of every image in the file of a block.

    Each is compared once per process and opened table.

    Parameters
    ----------
    path : path
        The file.
    offsets : ndarray of int64 of shape (n_images + 1,)
        The first row of each image.
    expected : ndarray of uint32 of shape (n_images,)
        The checksums.
    """

    def __init__(
        self, path: Path, offsets: NDArray[np.int64], expected: NDArray[np.uint32]
    ) -> None:
        self._path, self._offsets, self._expected = path, offsets, expected
        self._pending = np.ones(len(expected), bool)

    def __reduce__(self) -> Any:
        # Another process may read the file from another disk.
        return RowChecks, (self._path, self._offsets, self._expected)

    def check(self, values: NDArray[Any], images: NDArray[Any] | None = None) -> None:
        """Compare the checksums of images, except those that were right before.

        Parameters
        ----------
        values : ndarray of shape (n_rows, n_columns)
            The rows of the file.
        images : ndarray of integers of shape (n,), default=None
            Numbers of images. None is all.

        Raises
        ------
        ValueError
            If the rows of an image are damaged.
        """
        pending = self._pending if images is None else self._pending[images]
        if not pending.any():
            return
        numbers = np.arange(len(pending)) if images is None else images
        for i in np.unique(numbers[pending]):
            start, stop = self._offsets[i : i + 2]
            wrong = checksum(values[start:stop]) != self._expected[i]
            forget_pages(values)
            if wrong:
                raise damaged(
                    self._path, f"the part of images[{i}] (rows {start} to {stop - 1})"
                )
            self._pending[i] = False
