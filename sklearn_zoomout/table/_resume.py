"""Whether a folder contains the features that `store_features` is asked for."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..superpixels import Superpixels
from ..superpixels._reading import Reading
from ._layout import SEGMENT_TYPE, SEGMENTS, byte_offsets, digest_image, pixels_of


def check_same_settings(
    folder: Path, stored: dict[str, Any], asked: dict[str, Any]
) -> None:
    """Check that a folder was written by the same transformer, and so on.

    Parameters
    ----------
    folder : path
        The folder.
    stored : dict
        Its manifest.
    asked : dict
        The manifest of a new folder for the features that are asked for.

    Raises
    ------
    ValueError
        If the dtype, the transformer or the number of images differ.
    """
    differences = [
        f"{key} was {stored[key]}, now it is {asked[key]}"
        for key in ("dtype", "n_images")
        if stored[key] != asked[key]
    ]
    if stored["digest"] != asked["digest"]:
        differences.append(
            _compare_transformers(stored["transformer"], asked["transformer"])
        )
    if differences:
        raise _other_features(folder, "; ".join(differences))


def check_same_pixels(
    folder: Path,
    manifest: dict[str, Any],
    records: NDArray[Any],
    images: Sequence[Any],
    chosen: NDArray[np.int64],
) -> None:
    """Check that images have the pixels whose features are stored.

    Parameters
    ----------
    folder : path
        The folder.
    manifest : dict
        Its manifest.
    records : ndarray of records of shape (n_done,)
        The finished images.
    images : sequence of array-like of shape (height, width, 3), or Superpixels
        All images.
    chosen : ndarray of integers of shape (n,)
        The images that are compared.

    Raises
    ------
    ValueError
        If an image has other pixels.
    """
    reading = Reading.from_json(manifest["reading"])
    for i in chosen.tolist():
        pixels = pixels_of(images[i], reading, f"images[{i}]")
        if digest_image(pixels) != records["digest"][i]:
            raise _other_features(folder, f"images[{i}] has other pixels")


def check_same_superpixels(
    folder: Path,
    manifest: dict[str, Any],
    records: NDArray[Any],
    images: Sequence[Any],
    chosen: NDArray[np.int64],
) -> None:
    """Check that superpixels are those whose features are stored.

    Parameters
    ----------
    folder, manifest, records, images, chosen
        See `check_same_pixels`. Nothing is done unless ``images`` are `Superpixels`.

    Raises
    ------
    ValueError
        If an image has other superpixels.
    """
    starts = byte_offsets(manifest, records)[SEGMENTS]
    for i in chosen.tolist() if isinstance(images, Superpixels) else ():
        segments = images[i].segments.ravel()
        stored = np.fromfile(
            folder / SEGMENTS, SEGMENT_TYPE, segments.size, offset=int(starts[i])
        )
        if not np.array_equal(segments, stored):
            raise _other_features(folder, f"images[{i}] has other superpixels")


def _other_features(folder: Path, differences: str) -> ValueError:
    return ValueError(
        f"{folder} contains other features than those asked for: {differences}. "
        "Choose another folder, or delete this one."
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
