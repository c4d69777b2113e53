"""Features of a few images, appended to the files of a folder."""

import os
import re
import warnings
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..exceptions import PrecisionWarning
from . import _layout
from ._block import Block
from ._check_table import check_table
from ._checksums import checksum, checksums_of_records
from ._feature_table import FeatureTable

# The place of an image in an error.
_IMAGE = re.compile(r"images\[(\d+)\]")
# float16 has 11 bits of precision, and its smallest steps are 2**-24.
_HALF_STEP, _MIN_HALF_STEP = 2.0**-11, 2.0**-25
# A column is coarse if float16 changes it by more than this share of its range.
_COARSE = 0.01


#: What is written of some images, by the names of the files.
Parts = dict[str, NDArray[Any]]


def compute_parts(
    transformer: Any, images: Sequence[Any], part: slice, manifest: dict[str, Any]
) -> Parts:
    """Compute what is stored of some images.

    Parameters
    ----------
    transformer : estimator
        A fitted transformer of images into a `FeatureTable`.
    images : sequence
        All images.
    part : slice
        Which images are computed.
    manifest : dict
        The manifest of the folder. The first images tell it the blocks, and all
        widen the range of its columns.

    Returns
    -------
    dict of ndarray
        By the names of the files.

    Raises
    ------
    ValueError
        If the columns differ from those of earlier images, a value is out of range, or
        an image has too many superpixels.
    """
    first = part.start
    table = _transform(transformer, images[part], first)
    if not manifest["blocks"]:
        manifest["blocks"] = [_describe_block(block) for block in table.blocks]
    _check_columns(table, manifest["blocks"], first)
    records, segments = _record_superpixels(table, first)
    parts = {_layout.SEGMENTS: segments}
    for i, (known, block) in enumerate(
        zip(manifest["blocks"], table.blocks, strict=True)
    ):
        block.check()
        values = block.values
        known["low"] = np.fmin(known["low"], values.min(axis=0)).tolist()
        known["high"] = np.fmax(known["high"], values.max(axis=0)).tolist()
        parts[_layout.block_file(i)] = _convert(table, block, manifest["dtype"], first)
        offsets = _layout.row_offsets(records, block.per_image)
        records["checksums"][:, 1 + i] = _checksums_of(
            parts[_layout.block_file(i)], offsets
        )
    records["checksum"] = checksums_of_records(records, first)
    return parts | {_layout.IMAGES: records}


def append_parts(parts: Parts, folder: Path, manifest: dict[str, Any]) -> None:
    """Append images to the files of a folder.

    Parameters
    ----------
    parts : dict of ndarray
        See `compute_parts`.
    folder : path
        The folder.
    manifest : dict
        The manifest of the folder. It is updated, and written after all other files.
    """
    first = manifest["n_done"]
    if first == 0:  # without a manifest, other files would look like a stranger's
        _layout.write_manifest(folder, manifest)
    records = _layout.read_records(folder, manifest)
    ends = _layout.byte_offsets(manifest, records)
    for name, array in parts.items():
        _write_at(folder / name, int(ends[name][-1]), array)
    manifest["n_done"] += len(parts[_layout.IMAGES])
    _layout.write_manifest(folder, manifest)


def _transform(transformer: Any, images: Sequence[Any], start: int) -> FeatureTable:
    """Compute the features of the images from position ``start`` on."""
    try:
        table = check_table(transformer.transform(images)).compact()
    except Exception as error:
        # The transformer counts from the first image of this call.
        error.args = tuple(
            _IMAGE.sub(lambda found: f"images[{int(found[1]) + start}]", text)
            if isinstance(text, str)
            else text
            for text in error.args
        )
        raise
    if len(table) != len(images):
        raise ValueError(
            f"transformer: expected features of {len(images)} images, got those of "
            f"{len(table)}."
        )
    return table


def _write_at(path: Path, position: int, array: NDArray[Any]) -> None:
    """Write an array at a position of a file, replacing all bytes after it."""
    with open(path, "ab") as file:
        file.truncate(position)  # an interrupted call can have left bytes
        file.write(np.ascontiguousarray(array).data)
        file.flush()
        os.fsync(file.fileno())


def _checksums_of(rows: NDArray[Any], offsets: NDArray[np.int64]) -> list[int]:
    """Compute the checksums of the rows of every image."""
    return [checksum(rows[i:j]) for i, j in pairwise(offsets.tolist())]


def _describe_block(block: Block) -> dict[str, Any]:
    """Return the entry of a block in the manifest, without values."""
    n_columns = len(block.columns)
    return {
        "name": block.name,
        "columns": list(block.columns),
        "per_image": block.per_image,
        "low": [np.inf] * n_columns,
        "high": [-np.inf] * n_columns,
    }


def _check_columns(
    table: FeatureTable, blocks: list[dict[str, Any]], first: int
) -> None:
    columns = [
        f"{block['name']}__{name}" for block in blocks for name in block["columns"]
    ]
    if table.columns != columns:
        raise ValueError(
            f"images[{first}]: expected the {len(columns)} columns of the images "
            f"before it, got {table.n_columns} columns or other names; the transformer "
            "must return the same columns for all images."
        )


def _record_superpixels(
    table: FeatureTable, first: int
) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return the records of the images, and their label maps one after the other."""
    records = np.zeros(len(table), _layout.record_type(len(table.blocks)))
    segments = []
    for i, item in enumerate(table.superpixels):
        if item.n_segments > _layout.MAX_SEGMENTS:
            raise ValueError(
                f"images[{first + i}]: expected at most {_layout.MAX_SEGMENTS:,} "
                f"superpixels, got {item.n_segments:,}; use fewer n_segments."
            )
        digest = _layout.digest_image(item.image)
        nodata = -1 if item.nodata_segment is None else item.nodata_segment
        counts = item.n_segments, nodata, item.n_bands or 0
        segments.append(item.segments.astype(_layout.SEGMENT_TYPE).ravel())
        sums = np.zeros_like(records["checksums"][i])
        sums[0] = checksum(segments[-1])
        records[i] = (*item.shape, *counts, digest, sums, 0)
    return records, np.concatenate(segments)


def _convert(
    table: FeatureTable, block: Block, dtype: str, first: int
) -> NDArray[np.floating]:
    """Return the values of a block as another dtype, and refuse values out of range."""
    with np.errstate(over="ignore"):
        converted = block.values.astype(dtype)
    wrong = np.isinf(converted) & np.isfinite(block.values)
    if wrong.any():
        row, column = np.argwhere(wrong)[0]
        image = row if block.per_image else table.image_of_row[row]
        raise ValueError(
            f"images[{first + image}]: feature "
            f"'{block.name}__{block.columns[column]}' is "
            f"{block.values[row, column]:.6g}, beyond the range of {dtype}, "
            f"+-{np.finfo(dtype).max:.6g}; rescale it, or use a larger dtype."
        )
    return converted


def warn_of_coarse_columns(blocks: list[dict[str, Any]]) -> None:
    """Warn of columns whose variation is small compared with the steps of float16.

    Parameters
    ----------
    blocks : list of dict
        The blocks of a manifest, with the lowest and highest values of their columns.

    Warns
    -----
    PrecisionWarning
        If there are such columns.
    """
    coarse = []
    for block in blocks:
        low, high = np.array(block["low"]), np.array(block["high"])
        largest = np.maximum(np.abs(low), np.abs(high))
        error = np.maximum(_HALF_STEP * largest, _MIN_HALF_STEP)
        wrong = (high > low) & (error > _COARSE * (high - low))
        names = np.array(block["columns"])[wrong]
        coarse += [f"{block['name']}__{name}" for name in names]
    if coarse:
        n_columns = sum(len(block["columns"]) for block in blocks)
        more = ", ..." if len(coarse) > 5 else ""
        warnings.warn(
            f"float16 can change columns by more than {_COARSE:.0%} of their range "
            f"({len(coarse)} of {n_columns}): {', '.join(coarse[:5])}{more}; use "
            "dtype='float32' if they matter.",
            PrecisionWarning,
            stacklevel=4,
        )
