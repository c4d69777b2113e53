"""Random draws."""

import math

import numpy as np
from numpy.typing import NDArray


def draw_evenly(
    n_items: int, n_draws: int, rng: np.random.Generator
) -> NDArray[np.int64]:
    """Draw items, all of them once before any is drawn again.

    Parameters
    ----------
    n_items : int
        Number of items.
    n_draws : int
        Number of draws.
    rng : numpy.random.Generator
        Draws.

    Returns
    -------
    ndarray of int64 of shape (n_draws,)
        Their positions.
    """
    n_rounds = math.ceil(n_draws / n_items)
    return np.concatenate([rng.permutation(n_items) for _ in range(n_rounds)])[:n_draws]
