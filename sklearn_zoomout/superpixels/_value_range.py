"""The range of values that images have: declared, or learned from all of them."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..images import check_finite_values

# Learned ranges leave out this share of the values at either end, which are outliers.
_OUTLIERS = 0.001
# Pixels from which ranges are learned, of all images together, and at least of each.
_SAMPLED, _LEAST_SAMPLED = 2**21, 256


def check_value_range(value_range: Any) -> tuple[tuple[float, float], ...]:
    """Check the parameter ``value_range`` and make it a tuple of pairs.

    Parameters
    ----------
    value_range : array-like of shape (2,) or (n_channels, 2)
        The lowest and the highest value of all channels, or of each.

    Returns
    -------
    tuple of (float, float)

    Raises
    ------
    ValueError
        If they are no pairs of finite numbers, the first below the second.
    """
    try:
        pairs = np.atleast_2d(np.asarray(value_range, dtype=np.float64))
    except (TypeError, ValueError):
        pairs = np.empty(0)
    good = pairs.ndim == 2 and pairs.shape[1] == 2 and len(pairs) > 0
    if not good or not np.isfinite(pairs).all() or (pairs[:, 0] >= pairs[:, 1]).any():
        raise ValueError(
            "value_range: expected (low, high) with low < high, such as (0, 4095), a "
            f'pair for every channel, "learn" or None, got {value_range!r}.'
        )
    return tuple((float(low), float(high)) for low, high in pairs)


def learn_range(
    images: Sequence[tuple[NDArray[Any], NDArray[np.bool_] | None, str]],
    n_counted: int | None,
) -> tuple[tuple[float, float], ...]:
    """Return quantiles of each channel over all images together.

    Parameters
    ----------
    images : sequence of (values, valid, name)
        Arrays of shape (height, width, n_channels), where they have data (None if that
        is everywhere), and their names in errors.
    n_counted : int or None
        The number of channels, where gray counts as 3.

    Returns
    -------
    tuple of (float, float)
        For each of the counted channels.

    Raises
    ------
    ValueError
        If a value is not finite, or no pixel has data.
    """
    n_channels = max(values.shape[2] for values, _, _ in images)
    n_pixels = max(_SAMPLED // len(images), _LEAST_SAMPLED)
    samples = []
    for values, valid, name in images:
        check_finite_values(values, name, valid)
        flat = values.reshape(-1, values.shape[2])
        places = np.arange(len(flat)) if valid is None else np.flatnonzero(valid)
        chosen = np.linspace(0, len(places) - 1, min(n_pixels, len(places)))
        sample = flat[places[chosen.astype(np.intp)]]
        samples.append(np.broadcast_to(sample, (len(sample), n_channels)))
    together = np.concatenate(samples)
    if len(together) == 0:
        raise ValueError(
            'images: expected pixels with data, from which value_range="learn" learns, '
            "got none."
        )
    low, high = np.quantile(together, [_OUTLIERS, 1 - _OUTLIERS], axis=0)
    high = np.where(high > low, high, low + 1)  # a constant channel becomes 0
    if n_channels == 1 and n_counted == 3:  # gray has three equal channels
        low, high = np.repeat(low, 3), np.repeat(high, 3)
    return tuple(zip(low.tolist(), high.tolist(), strict=True))


def scale(values: NDArray[Any], ranges: NDArray[np.float64]) -> NDArray[np.float32]:
    """Map the range of each channel linearly to 0..1, and clip what is outside."""
    scaled = np.empty(values.shape, dtype=np.float32)
    for c in range(values.shape[2]):
        low, high = ranges[c]
        plane = (values[..., c].astype(np.float64) - low) / (high - low)
        np.clip(plane, 0, 1, out=scaled[..., c], casting="same_kind")
    return scaled


def share_outside(
    values: NDArray[Any],
    ranges: NDArray[np.float64],
    valid: NDArray[np.bool_] | None,
) -> float:
    """Return the share of the values with data that are outside of their range."""
    # Of a gray image, the ranges of three equal channels are equal, or it has three.
    ranges = ranges[: values.shape[2]]
    outside = (values < ranges[:, 0]) | (values > ranges[:, 1])
    if valid is not None:
        outside = outside[valid]
    return float(outside.mean()) if outside.size else 0.0
