"""Whether a transformer returned a feature table, also inside a pandas frame."""

from typing import Any

import numpy as np

from ..superpixels import Superpixels
from ._block import Block
from ._feature_table import FeatureTable


def check_table(table: Any) -> FeatureTable:
    """Return the `FeatureTable` that was given or that a pandas frame contains.

    Parameters
    ----------
    table : FeatureTable or pandas.DataFrame
        A frame must have been made from tables. scikit-learn makes such frames after
        ``set_config(transform_output="pandas")``.

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
    """Join tables of one image each, the inverse of `FeatureTable.__array__`."""
    first = cells[0]
    if all(c._base is first._base and c.blocks is first.blocks for c in cells):
        return first._view(images=np.concatenate([cell._images for cell in cells]))
    parts = [cell.compact() for cell in cells]
    for part in parts:
        for block in part.blocks:
            block.check()
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
