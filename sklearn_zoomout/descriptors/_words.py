"""Visual words: quantized SIFT descriptors, and their histograms."""

import numpy as np
from scipy import sparse

from ._sift import PATCH_SIZES, STEP, grid
from ._vocabulary import fit_centers, nearest_center

_CHANNELS = ("L", "a", "b")


def fit_words(
    samples: np.ndarray,
    n_words: int = 500,
    random_state: int | np.random.RandomState | None = None,
) -> np.ndarray:
    """Cluster descriptors into one dictionary for all channels and patch sizes.

    Parameters
    ----------
    samples : array of shape (n_samples, 128)
        A sample of descriptors of the training images.
    n_words : int, default=500
        Number of words.
    random_state : int, RandomState instance or None, default=None
        Seed of k-means.

    Returns
    -------
    words : array of shape (n_words, 128), float32
        Cluster centers.
    """
    return fit_centers(samples, n_words, random_state)


def assign_words(descriptors: np.ndarray, words: np.ndarray) -> np.ndarray:
    """Assign descriptors to their nearest words.

    Parameters
    ----------
    descriptors : array of shape (..., 128), float32
        From `dense_sift` or `image_sift`.
    words : array of shape (n_words, 128), float32
        From `fit_words`.

    Returns
    -------
    codes : array of shape (...), int32
        The number of the word of every descriptor.
    """
    codes = nearest_center(descriptors.reshape(-1, descriptors.shape[-1]), words)
    return codes.reshape(descriptors.shape[:-1])


def points_of_regions(
    segments: np.ndarray, neighborhood: sparse.csr_array, centroids: np.ndarray
) -> sparse.csr_array:
    """Find the points of the grid in each region.

    Parameters
    ----------
    segments : array of shape (height, width), int
        Label map of the superpixels.
    neighborhood : csr array of shape (n_regions, n_superpixels)
        1 where a superpixel belongs to a region.
    centroids : array of shape (n_regions, 2)
        Row and column of each region's centroid.

    Returns
    -------
    membership : csr array of shape (n_regions, n_points), float32
        1 where a point is in a region. A region without points has the point nearest to
        its centroid.
    """
    rows, columns = grid(segments.shape)
    owners = segments[np.ix_(rows, columns)].ravel()
    n_regions, n_superpixels = neighborhood.shape
    held = sparse.csr_array(
        (np.ones(owners.size, np.float32), (owners, np.arange(owners.size))),
        shape=(n_superpixels, owners.size),
    )
    membership = sparse.csr_array(neighborhood @ held)
    empty = np.flatnonzero(np.diff(membership.indptr) == 0)
    nearest = [
        np.clip(np.rint((centroids[empty, axis] - line[0]) / STEP), 0, len(line) - 1)
        for axis, line in enumerate((rows, columns))
    ]
    points = (nearest[0] * len(columns) + nearest[1]).astype(np.int64)
    borrowed = sparse.csr_array(
        (np.ones(empty.size, np.float32), (empty, points)), shape=membership.shape
    )
    return membership + borrowed


def word_features(
    membership: sparse.csr_array, codes: np.ndarray, n_words: int
) -> np.ndarray:
    """Compute a histogram over the words for each channel, and six entropies.

    Parameters
    ----------
    membership : csr array of shape (n_regions, n_points)
        From `points_of_regions`.
    codes : array of shape (2 * n, n_points), int
        Words of the points, in the order of `image_sift`. n is 3, or 1 of bands.
    n_words : int
        Size of the dictionary.

    Returns
    -------
    features : array of shape (n_regions, n * n_words + 2 * n), float32
        For each channel, the mean of the histograms of both patch sizes. Then the
        entropies of the histograms before averaging. The names are `word_names`.
    """
    n = len(codes) // len(PATCH_SIZES)
    n_regions = membership.shape[0]
    n_held = np.diff(membership.indptr)
    sizes = np.maximum(n_held, 1).astype(np.float32)
    region = np.repeat(np.arange(n_regions), n_held)
    first_bin = region * n_words
    features = np.zeros((n_regions, n * n_words + len(codes)), dtype=np.float32)
    averages = features[:, : n * n_words].reshape(n_regions, n, n_words)
    for k, words in enumerate(codes):
        histogram = np.zeros((n_regions, n_words), dtype=np.float32)
        held = first_bin + words[membership.indices]
        np.add.at(histogram.reshape(-1), held, np.float32(1))
        histogram /= sizes[:, None]
        averages[:, k // 2] += histogram
        # The entropy is the mean over points of -log of the frequency of their word.
        surprise = -np.log(histogram.reshape(-1)[held])
        sums = np.bincount(region, weights=surprise, minlength=n_regions)
        features[:, n * n_words + k] = sums / sizes
    averages /= 2
    return features


def word_names(n_words: int = 500, bands: bool = False) -> list[str]:
    """Return the names of the visual word features, of the mean if there are bands."""
    channels = ("mean",) if bands else _CHANNELS
    return [
        *(f"sift_{c}_word_{i:03d}" for c in channels for i in range(n_words)),
        *(f"sift_{c}_{size}px_entropy" for c in channels for size in PATCH_SIZES),
    ]
