"""Dictionaries of textons and visual words, fitted once for all levels."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from joblib import Parallel, delayed
from numpy.typing import NDArray
from sklearn.utils import check_random_state

from ..descriptors import filter_responses, fit_textons, fit_words, image_sift
from ..superpixels import SegmentedImage, Superpixels


class _Kind(NamedTuple):
    """How the samples of a dictionary are computed and clustered."""

    describe: Callable[[NDArray[np.float32], bool], NDArray[np.float32]]
    fit: Callable[..., Any]
    n_samples: int


_KINDS = {
    "texture": _Kind(filter_responses, fit_textons, 50_000),
    "sift": _Kind(image_sift, fit_words, 100_000),
}


def shared_dictionary(
    superpixels: Superpixels,
    kind: str,
    n_codes: int,
    n_images: int,
    random_state: int | np.random.RandomState | None = None,
    n_jobs: int | None = None,
) -> Any:
    """Fit a dictionary, or recall it if it was fitted on these images before.

    Parameters
    ----------
    superpixels : Superpixels
        The training images. They keep the dictionary (``fitted``), so that levels of
        equal parameters share it even without a seed.
    kind : {"texture", "sift"}
        Textons or visual words.
    n_codes : int
        Size of the dictionary.
    n_images : int
        Largest number of images to sample, drawn at random.
    random_state : int, RandomState instance or None, default=None
        Seeds the samples and k-means.
    n_jobs : int or None, default=None
        How many images to work on at once, in threads.

    Returns
    -------
    dictionary : array or tuple of arrays
        From `texture.fit_textons` or `words.fit_words`.
    """

    def fit() -> Any:
        rng = check_random_state(random_state)
        samples = _draw_samples(superpixels, _KINDS[kind], n_images, rng, n_jobs)
        return _KINDS[kind].fit(samples, n_codes, random_state=rng)

    return superpixels.fitted.get((kind, n_codes, n_images, random_state), fit)


def _draw_samples(
    superpixels: Superpixels,
    kind: _Kind,
    n_images: int,
    rng: np.random.RandomState,
    n_jobs: int | None,
) -> NDArray[np.float32]:
    """Draw the same number of samples from every image, or all that it has."""
    chosen = rng.permutation(len(superpixels))[:n_images]
    n_samples = -(-kind.n_samples // len(chosen))
    seeds = rng.randint(2**31 - 1, size=len(chosen))
    parallel = Parallel(n_jobs, prefer="threads")
    samples = parallel(
        delayed(_draw_from_image)(superpixels[i], kind.describe, n_samples, seed)
        for i, seed in zip(chosen, seeds, strict=True)
    )
    return np.concatenate(samples)


def _draw_from_image(
    segmented: SegmentedImage,
    describe: Callable[[NDArray[np.float32], bool], NDArray[np.float32]],
    n_samples: int,
    seed: int,
) -> NDArray[np.float32]:
    described = describe(segmented.colors, segmented.n_bands is not None)
    if segmented.nodata_segment is not None and described.shape[:2] == segmented.shape:
        described = described[segmented.valid]
    described = described.reshape(-1, described.shape[-1])
    order = np.random.RandomState(seed).permutation(len(described))
    return described[order[:n_samples]]
