"""Whether stored features are those that would be computed now."""

import os
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..features.fine_tuning import FineTuning
from ..table import FeatureTable, check_table
from ._layout import digest_image, pixels_of

# Parameters that do not change what a transformer computes.
_NO_MATTER = {"n_jobs", "verbose", "device", "memory"}


def describe_parameters(transformer: Any) -> dict[str, str]:
    """Give the parameters that decide what a transformer computes, as text.

    Parameters
    ----------
    transformer : estimator
        One without ``get_params`` is described by its class.

    Returns
    -------
    dict of str
    """
    params: dict[str, Any] = getattr(transformer, "get_params", dict)()
    return {
        name: _as_text(value)
        for name, value in sorted(params.items())
        if name.rpartition("__")[2] not in _NO_MATTER
    } | {"": type(transformer).__name__}


def _as_text(value: Any) -> str:
    """Describe a value the same in every process: without addresses in memory."""
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(map(_as_text, value))}]"
    if isinstance(value, dict):
        return _as_text(list(value.items()))
    plain = (bool, int, float, str, os.PathLike, FineTuning)
    if value is None or isinstance(value, plain):
        return repr(value)
    if isinstance(value, (np.generic, np.ndarray)):
        return repr(value.tolist())
    return getattr(value, "__qualname__", type(value).__qualname__)


def different_images(
    stored: Sequence[Any], records: NDArray[Any], images: Sequence[Any]
) -> list[str]:
    """Name the first image that is not the one that was stored.

    Parameters
    ----------
    stored : sequence of SegmentedImage
        The superpixels of the stored images.
    records : ndarray of IMAGE_RECORD
        What is known of them.
    images : sequence of array-like, or Superpixels
        All images, stored or not.

    Returns
    -------
    list of str
        At most one.
    """
    for i, digest in enumerate(records["digest"]):
        image = images[i]
        if digest_image(pixels_of(image)) != digest:
            return [f"images[{i}] has other pixels"]
        segments = getattr(image, "segments", None)
        if segments is not None and not np.array_equal(segments, stored[i].segments):
            return [f"images[{i}] has other superpixels"]
    return []


def different_features(stored: FeatureTable, fresh: Any) -> list[str]:
    """Compare the features of the first image, computed twice.

    Parameters
    ----------
    stored : FeatureTable
        What was stored of the first image.
    fresh : FeatureTable
        What a transformer makes of it.

    Returns
    -------
    list of str
        What differs, at most one thing.
    """
    fresh = check_table(fresh)
    if fresh.columns != stored.columns:
        return [f"{stored.n_columns} columns there, {fresh.n_columns} or others now"]
    if not np.array_equal(
        fresh.superpixels[0].segments, stored.superpixels[0].segments
    ):
        return ["images[0] gets other superpixels"]
    there, now = stored.to_numpy(), fresh.to_numpy()
    # What float16 and another order of summation change is far smaller.
    allowed = 2e-3 * np.abs(there).max(axis=0) + 1e-6
    wrong = ~np.isclose(now, there, rtol=0, atol=allowed, equal_nan=True)
    if not wrong.any():
        return []
    row, column = np.argwhere(wrong)[0]
    return [
        f"feature {stored.columns[column]!r} of superpixel {row} of images[0] is "
        f"{there[row, column]:.6g} there, {now[row, column]:.6g} now, so the "
        "transformer was fitted on other images, or is of another version"
    ]
