"""Whether a folder contains the features that `store_features` is asked for."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..superpixels._reading import Reading
from ._layout import check_files, digest_image, pixels_of
from ._stored_superpixels import StoredSuperpixels


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
        differences.append(
            _compare_transformers(stored["transformer"], asked["transformer"])
        )
    if not differences:
        reading = Reading.from_json(stored["reading"])
        differences = _compare_images(folder, records, images, reading)
    if differences:
        raise ValueError(
            f"{folder} contains other features than those asked for: "
            f"{'; '.join(differences)}. Choose another folder, or delete this one."
        )


def _compare_transformers(there: str, now: str) -> str:
    """Describe why the digests of two transformers differ."""
    if there == now:
        return (
            f"the transformer, {now}, was fitted on other images, has other parameters "
            "where this description is shortened, or is of another version"
        )
    return (
        f"the transformer was {there}, now it is {now} (n_jobs, verbose, memory and "
        "device may differ)"
    )


def _compare_images(
    folder: Path, records: NDArray[Any], images: Sequence[Any], reading: Reading
) -> list[str]:
    """Return a description of the first image that differs, in a list, if any does."""
    stored = StoredSuperpixels(folder, records)
    for i, digest in enumerate(records["digest"]):
        image = images[i]
        if digest_image(pixels_of(image, reading, f"images[{i}]")) != digest:
            return [f"images[{i}] has other pixels"]
        segments = getattr(image, "segments", None)
        if segments is not None and not np.array_equal(segments, stored[i].segments):
            return [f"images[{i}] has other superpixels"]
    return []
