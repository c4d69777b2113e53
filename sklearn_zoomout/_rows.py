"""Which rows of a table are trained on, and label maps of the rows' values."""

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .labels import LabeledRows
from .table import FeatureTable


def hold_out(
    labeled: LabeledRows, fraction: float | None, rng: np.random.RandomState
) -> tuple[LabeledRows, LabeledRows | None]:
    """Split off the rows of a share of the images.

    Parameters
    ----------
    labeled : LabeledRows
        All labeled rows.
    fraction : float or None
        Share of the images to hold out; at least one image is.
    rng : RandomState
        Chooses the images.

    Returns
    -------
    train, valid : LabeledRows
        ``valid`` is None if ``fraction`` is.

    Raises
    ------
    ValueError
        If no image would be left to train on.
    """
    if fraction is None:
        return labeled, None
    images = rng.permutation(np.unique(labeled.images))
    n_valid = max(1, round(fraction * len(images)))
    if n_valid >= len(images):
        raise ValueError(
            f"validation_fraction={fraction} of {len(images)} images with labels "
            "leaves none to train on; use a smaller one, or more images."
        )
    return labeled.of_images(images[n_valid:]), labeled.of_images(images[:n_valid])


def draw_evenly(
    n_items: int, n_draws: int, rng: np.random.Generator
) -> NDArray[np.int64]:
    """Draw items, all of them once before any is drawn again.

    Parameters
    ----------
    n_items, n_draws : int
        How many there are, and how many to draw.
    rng : numpy.random.Generator
        Draws.

    Returns
    -------
    ndarray of int64 of shape (n_draws,)
        Their positions.
    """
    n_rounds = math.ceil(n_draws / n_items)
    return np.concatenate([rng.permutation(n_items) for _ in range(n_rounds)])[:n_draws]


def paint_rows(table: FeatureTable, values: NDArray[Any]) -> NDArray[np.object_]:
    """Give every pixel the value of its superpixel.

    Parameters
    ----------
    table : FeatureTable
        The features of the superpixels.
    values : ndarray of shape (n_rows, ...)
        A value, or an array of them, for every row.

    Returns
    -------
    ndarray of object of shape (n_images,)
        An array of shape (height, width, ...) for every image.
    """
    maps = np.empty(len(table), dtype=object)
    for i, segmented in enumerate(table.superpixels):
        start, stop = table.row_offsets[i : i + 2]
        maps[i] = values[start:stop][segmented.segments]
    return maps
