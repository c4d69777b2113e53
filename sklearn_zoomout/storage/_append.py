"""Features of some images, written behind those that are in the files."""

import os
import warnings
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..exceptions import PrecisionWarning
from ..table import Block, FeatureTable
from . import _layout

# float16 has 11 bits of precision, and smallest steps of 2**-24.
_HALF_STEP, _LEAST_HALF_STEP = 2.0**-11, 2.0**-25
# Columns are told apart that float16 changes by more than this share of their range.
_COARSE = 0.01


def append_features(
    table: FeatureTable, folder: Path, manifest: dict[str, Any]
) -> None:
    """Write the features of some images behind those that are there.

    Parameters
    ----------
    table : FeatureTable
        The features, no view on those of other images.
    folder : path
        Where to write.
    manifest : dict
        What the folder holds; brought up to date, and written after all else.

    Raises
    ------
    ValueError
        If the columns are not those of the images before, or values are out of range.
    """
    first = manifest["n_done"]
    if first == 0:
        manifest["blocks"] = [_describe_block(block) for block in table.blocks]
    columns = [f"{b['name']}__{c}" for b in manifest["blocks"] for c in b["columns"]]
    if table.columns != columns:
        raise ValueError(
            f"images[{first}]: expected the {len(columns)} columns of the images "
            f"before, got {table.n_columns} or others; check the transformer."
        )
    records, segments = _record_superpixels(table, first)
    parts = {_layout.IMAGES: records, _layout.SEGMENTS: segments}
    for i, (known, block) in enumerate(
        zip(manifest["blocks"], table.blocks, strict=True)
    ):
        values = block.values
        known["low"] = np.fmin(known["low"], values.min(axis=0)).tolist()
        known["high"] = np.fmax(known["high"], values.max(axis=0)).tolist()
        parts[_layout.block_file(i)] = _convert(table, block, manifest["dtype"], first)
    if first == 0:  # a folder that holds anything must say whose it is
        _layout.write_manifest(folder, manifest)
    ends = _layout.file_sizes(manifest, _layout.read_records(folder, first))
    for name, array in parts.items():
        with open(folder / name, "ab") as file:
            file.truncate(ends[name])  # what a chunk left that was not finished
            file.write(np.ascontiguousarray(array).data)
            file.flush()
            os.fsync(file.fileno())
    manifest["n_done"] += len(table)
    _layout.write_manifest(folder, manifest)


def _describe_block(block: Block) -> dict[str, Any]:
    n_columns = len(block.columns)
    return {
        "name": block.name,
        "columns": list(block.columns),
        "per_image": block.per_image,
        "low": [np.inf] * n_columns,
        "high": [-np.inf] * n_columns,
    }


def _record_superpixels(
    table: FeatureTable, first: int
) -> tuple[NDArray[Any], NDArray[Any]]:
    """Give the records of images, and their label maps one after the other."""
    records = np.empty(len(table), _layout.IMAGE_RECORD)
    segments = []
    for i, item in enumerate(table.superpixels):
        if item.n_segments > _layout.MOST_SEGMENTS:
            raise ValueError(
                f"images[{first + i}]: expected at most {_layout.MOST_SEGMENTS:,} "
                f"superpixels, got {item.n_segments:,}; use fewer n_segments."
            )
        digest = _layout.digest_image(item.image)
        records[i] = (*item.shape, item.n_segments, digest)
        segments.append(item.segments.astype(_layout.SEGMENT_TYPE).ravel())
    return records, np.concatenate(segments)


def _convert(
    table: FeatureTable, block: Block, dtype: str, first: int
) -> NDArray[np.floating]:
    """Convert the values of a block, and refuse those that are out of range."""
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
    """Name the columns that float16 may change more than their differences allow.

    Parameters
    ----------
    blocks : list of dict
        The blocks of a manifest, with the lowest and highest values of their columns.

    Warns
    -----
    PrecisionWarning
        If there are any.
    """
    coarse = []
    for block in blocks:
        low, high = np.array(block["low"]), np.array(block["high"])
        largest = np.maximum(np.abs(low), np.abs(high))
        error = np.maximum(_HALF_STEP * largest, _LEAST_HALF_STEP)
        wrong = (high > low) & (error > _COARSE * (high - low))
        names = np.array(block["columns"])[wrong]
        coarse += [f"{block['name']}__{name}" for name in names]
    if coarse:
        more = ", ..." if len(coarse) > 5 else ""
        warnings.warn(
            f"float16 changes {len(coarse)} columns by up to more than {_COARSE:.0%} "
            f"of their range: {', '.join(coarse[:5])}{more}; store them as float32, if "
            "they matter.",
            PrecisionWarning,
            stacklevel=4,
        )
