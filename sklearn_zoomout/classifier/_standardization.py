"""Checks of the columns of a table, their moments, and standardization."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..table import FeatureTable

# Standardized features are clipped to +-CLIP. Suppose that a histogram bin is filled in
# one superpixel of a million. Its standard deviation is a thousandth of its value. The
# standardized feature would be 1000, and would dominate the step that it is in.
CLIP = 5.0


def check_columns(table: FeatureTable, expected: Sequence[str]) -> None:
    """Refuse a table with other columns than in fit, and show the difference.

    Parameters
    ----------
    table : FeatureTable
        The features.
    expected : sequence of str
        The names of the columns in fit.

    Raises
    ------
    ValueError
        If columns are missing, new, or in another order.
    """
    columns, expected = table.columns, list(expected)
    if columns == expected:
        return
    missing, new = set(expected).difference(columns), set(columns).difference(expected)
    parts = [
        f"{len(names)} {kind}: {_first_names(names, order)}"
        for kind, names, order in [
            ("missing", missing, expected),
            ("new", new, columns),
        ]
        if names
    ]
    raise ValueError(
        f"expected the {len(expected)} feature columns of fit, got {len(columns)}; "
        + ("; ".join(parts) or "they are the same in another order")
        + ". Use the same feature transformers as in fit."
    )


def _first_names(names: set[str], order: list[str]) -> str:
    first = [name for name in order if name in names]
    return ", ".join(first[:5]) + (", ..." if len(first) > 5 else "")


def check_finite(table: FeatureTable, rows: NDArray[Any]) -> None:
    """Raise an error that names the first feature that is NaN or infinite.

    Parameters
    ----------
    table : FeatureTable
        The features.
    rows : ndarray of integers of shape (n,)
        The rows to check.

    Raises
    ------
    ValueError
        If a feature of one of the rows is NaN or infinite.
    """
    for start in range(0, len(rows), 4096):
        chosen = rows[start : start + 4096]
        values = table.take(chosen)
        wrong = ~np.isfinite(values)
        if wrong.any():
            i, column = np.argwhere(wrong)[0]
            image = table.image_of_row[chosen[i]]
            superpixel = chosen[i] - table.row_offsets[image]
            raise ValueError(
                f"images[{image}]: feature {table.columns[column]!r} of superpixel "
                f"{superpixel} is {values[i, column]}; features must be finite."
            )


def column_moments(
    table: FeatureTable, rows: NDArray[Any]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Compute the mean and standard deviation of each column over some rows.

    Parameters
    ----------
    table : FeatureTable
        The features.
    rows : ndarray of integers of shape (n,)
        The rows.

    Returns
    -------
    mean, scale : ndarray of float64 of shape (n_columns,)
        ``scale`` is 1 for a constant column.

    Raises
    ------
    ValueError
        If a feature is NaN or infinite, or too large for float32.
    """
    with np.errstate(all="ignore"):
        mean, scale = table.mean_and_scale(rows)
    wrong = np.flatnonzero(~(np.isfinite(mean) & np.isfinite(scale)))
    if len(wrong):
        check_finite(table, rows)
        raise ValueError(
            f"feature {table.columns[wrong[0]]!r} has values too large for float32; "
            "rescale it."
        )
    return mean, scale


def standardize(
    values: NDArray[np.float32],
    mean: NDArray[np.float64] | None,
    scale: NDArray[np.float64] | None,
) -> NDArray[np.float32]:
    """Standardize rows in place, clip them, and return them.

    Parameters
    ----------
    values : ndarray of float32 of shape (n, n_columns)
        Rows of a table; overwritten.
    mean, scale : ndarray of float64 of shape (n_columns,) or None
        The moments. None leaves the rows as they are.

    Returns
    -------
    ndarray of float32 of shape (n, n_columns)
    """
    if mean is None or scale is None:
        return values
    values -= mean.astype(np.float32)
    values /= scale.astype(np.float32)
    return np.clip(values, -CLIP, CLIP, out=values)
