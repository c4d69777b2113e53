"""Whether a folder contains the features that `store_features` is asked for."""

import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator

from ._layout import check_files, digest_image, pixels_of
from ._stored_superpixels import StoredSuperpixels

# How many characters of two descriptions an error shows, and how many of these are
# before the first difference.
_SHOWN, _BEFORE = 400, 100


def describe_transformer(transformer: Any) -> str:
    """Return the ``repr`` of a transformer for the manifest.

    Parameters
    ----------
    transformer : object
        The transformer.

    Returns
    -------
    str
        One line, complete, and without addresses in memory.
    """
    if type(transformer).__repr__ is BaseEstimator.__repr__:
        # By default scikit-learn leaves out the middle of a long description.
        text = transformer.__repr__(N_CHAR_MAX=10**6)
    else:
        text = repr(transformer)
    return re.sub(r" at 0x[0-9a-fA-F]+", "", " ".join(text.split()))


def check_same_features(
    folder: Path, stored: dict[str, Any], asked: dict[str, Any], images: Sequence[Any]
) -> None:
    """Check that a folder contains the features that are asked for, or some of them.

    Parameters
    ----------
    folder : path
        The folder.
    stored : dict
        Its manifest.
    asked : dict
        The manifest of a new folder for the features that are asked for.
    images : sequence of array-like of shape (height, width, 3), or Superpixels
        All images.

    Raises
    ------
    ValueError
        If the dtype, the transformer, the number of images, or the pixels or
        superpixels of a stored image differ, or if a file is damaged.
    """
    records = check_files(folder, stored)
    differences = [
        f"{key} was {stored[key]}, now it is {asked[key]}"
        for key in ("dtype", "n_images")
        if stored[key] != asked[key]
    ]
    if stored["digest"] != asked["digest"]:
        differences += [
            _compare_transformers(stored["transformer"], asked["transformer"])
        ]
    if not differences:
        differences = _compare_images(folder, records, images)
    if differences:
        raise ValueError(
            f"{folder} contains other features than those asked for: "
            f"{'; '.join(differences)}. Choose another folder, or delete this one."
        )


def _compare_transformers(there: str, now: str) -> str:
    """Describe why the digests of two transformers differ."""
    if there == now:
        return (
            f"the transformer, {_shorten(now)}, was fitted on other images, or "
            "sklearn-zoomout, a package that it computes with or the code of the "
            "transformer has another version"
        )
    start = 0
    if max(len(there), len(now)) > _SHOWN:
        # The first difference must be among the characters that are shown.
        start = max(0, len(os.path.commonprefix([there, now])) - _BEFORE)
    return (
        f"the transformer was {_shorten(there, start)}, now it is "
        f"{_shorten(now, start)} (n_jobs, verbose, memory and device may differ)"
    )


def _shorten(text: str, start: int = 0) -> str:
    stop = start + _SHOWN
    before, after = "..." * (start > 0), "..." * (stop < len(text))
    return before + text[start:stop] + after


def _compare_images(
    folder: Path, records: NDArray[Any], images: Sequence[Any]
) -> list[str]:
    """Return a description of the first image that differs, in a list, if any does."""
    stored = StoredSuperpixels(folder, records)
    for i, digest in enumerate(records["digest"]):
        image = images[i]
        if digest_image(pixels_of(image)) != digest:
            return [f"images[{i}] has other pixels"]
        segments = getattr(image, "segments", None)
        if segments is not None and not np.array_equal(segments, stored[i].segments):
            return [f"images[{i}] has other superpixels"]
    return []
