"""Damaged parts of a stored table, found by their checksums and computed again."""

import os
import warnings
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray
from tqdm.auto import tqdm

from .._utils.writing import write_whole
from ..exceptions import CacheWarning
from ._append import Parts, compute_parts
from ._checksums import are_sound
from ._layout import DELETE, IMAGES, SEGMENTS, byte_offsets, read_records
from ._resume import check_same_pixels, check_same_superpixels

_AT_ONCE = 1 << 24  # bytes
_SIZES = ["height", "width", "n_segments"]


def mend_features(
    transformer: Any,
    images: Sequence[Any],
    folder: Path,
    manifest: dict[str, Any],
    images_at_once: int,
    verbose: int,
) -> None:
    """Check all that is stored of finished images, and compute what is damaged again.

    Parameters
    ----------
    transformer : estimator
        The transformer that computed the features.
    images : sequence
        All images.
    folder : path
        The folder.
    manifest : dict
        Its manifest.
    images_at_once : int
        The largest number of images that are computed together.
    verbose : int
        Show a progress bar if positive.

    Raises
    ------
    ValueError
        If the images are others, or what is computed again does not fit between what
        is stored.

    Warns
    -----
    CacheWarning
        If something was damaged.
    """
    if manifest["n_done"] == 0:
        return
    records = read_records(folder, manifest)
    sound = are_sound(records)
    known = np.flatnonzero(sound)
    check_same_pixels(folder, manifest, records, images, known)
    # The records tell where each image is stored, so they are needed first.
    for part in _runs(~sound, images_at_once):
        records[part] = compute_parts(transformer, images, part, manifest)[IMAGES]
    stored = _find_sound_chunks(folder, manifest, records, verbose)
    known = np.flatnonzero(sound & stored[SEGMENTS])
    check_same_superpixels(folder, manifest, records, images, known)
    wrong = ~np.logical_and.reduce(list(stored.values()))
    if not sound.all():
        _write_records(folder, records)
    for part in _runs(wrong, images_at_once):
        parts = compute_parts(transformer, images, part, manifest)
        _check_sizes(folder, records[part], parts[IMAGES], part)
        _write_inside(folder, byte_offsets(manifest, records), part, parts)
        records[part] = parts[IMAGES]
        _write_records(folder, records)
    _cut_off(folder, byte_offsets(manifest, records))
    n_mended = int((wrong | ~sound).sum())
    if n_mended:
        warnings.warn(
            f"{folder}: what was stored of {n_mended} of {len(records)} images was "
            "damaged, and has been computed again; the disk may be failing.",
            CacheWarning,
            stacklevel=3,
        )


def _runs(chosen: NDArray[np.bool_], longest: int) -> Iterator[slice]:
    """Yield slices of neighboring images that are chosen."""
    numbers = np.flatnonzero(chosen)
    for run in np.split(numbers, np.flatnonzero(np.diff(numbers) > 1) + 1):
        for start in range(0, len(run), longest):
            part = run[start : start + longest]
            yield slice(int(part[0]), int(part[-1]) + 1)


def _find_sound_chunks(
    folder: Path, manifest: dict[str, Any], records: NDArray[Any], verbose: int
) -> dict[str, NDArray[np.bool_]]:
    """Return by the name of each file which images have the right checksum in it."""
    offsets = byte_offsets(manifest, records)
    del offsets[IMAGES]
    sound = {name: np.zeros(len(records), bool) for name in offsets}
    total = sum(int(ends[-1]) for ends in offsets.values())
    bar = tqdm(
        total=total, desc="check", unit="B", unit_scale=True, disable=not verbose
    )
    with bar:
        for k, (name, ends) in enumerate(offsets.items()):
            if not (folder / name).is_file():
                continue
            with open(folder / name, "rb") as file:
                for i, size in enumerate(np.diff(ends).tolist()):
                    right = records["checksums"][i, k]
                    sound[name][i] = _read_checksum(file, size) == right
                    bar.update(size)
    return sound


def _read_checksum(file: IO[bytes], size: int) -> int | None:
    """Compute the checksum of the next bytes, None if the file is too short."""
    result = 0
    while size:
        content = file.read(min(size, _AT_ONCE))
        if not content:
            return None
        size -= len(content)
        result = zlib.crc32(content, result)
    return result


def _check_sizes(
    folder: Path, stored: NDArray[Any], computed: NDArray[Any], part: slice
) -> None:
    for i, (one, other) in enumerate(zip(stored, computed, strict=True), part.start):
        if one[_SIZES] != other[_SIZES]:
            raise ValueError(
                f"{folder}: images[{i}] is damaged. Its height, width and number of "
                f"superpixels were {one[_SIZES].item()}; computed again they are "
                f"{other[_SIZES].item()}, which does not fit between the other images; "
                f"{DELETE}."
            )


def _write_inside(
    folder: Path, offsets: dict[str, NDArray[np.int64]], part: slice, parts: Parts
) -> None:
    """Write over what is stored of neighboring images."""
    # If this is interrupted, the checksums in the records do not fit what is there.
    for name in offsets.keys() - {IMAGES}:
        with open(folder / name, "ab"):
            pass  # it may be missing
        with open(folder / name, "r+b") as file:
            file.seek(int(offsets[name][part.start]))
            file.write(np.ascontiguousarray(parts[name]).data)
            file.flush()
            os.fsync(file.fileno())


def _write_records(folder: Path, records: NDArray[Any]) -> None:
    with write_whole(folder / IMAGES) as file:
        file.write(records.tobytes())


def _cut_off(folder: Path, offsets: dict[str, NDArray[np.int64]]) -> None:
    """Remove bytes behind the finished images."""
    for name, ends in offsets.items():
        if ends[-1] < (folder / name).stat().st_size:
            os.truncate(folder / name, int(ends[-1]))
