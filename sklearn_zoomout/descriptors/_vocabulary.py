"""Dictionaries of textons and visual words: k-means and the nearest center."""

import numpy as np
from sklearn.cluster import MiniBatchKMeans

# Scores that `highest_score` computes at once. Their 512 kB fit into the cache.
_CHUNK = 2**17


def fit_centers(
    samples: np.ndarray,
    n_centers: int,
    random_state: int | np.random.RandomState | None = None,
) -> np.ndarray:
    """Find the centers of a dictionary by k-means.

    Parameters
    ----------
    samples : array of shape (n_samples, n_features)
        Points to cluster, at least one.
    n_centers : int
        Number of centers.
    random_state : int, RandomState instance or None, default=None
        Seed of the first centers and of the batches.

    Returns
    -------
    centers : array of shape (n_centers, n_features), float32
        If the samples have fewer distinct points than `n_centers`, the centers are
        these points and then copies of the first point. `nearest_center` never returns
        a copy.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_zoomout.descriptors._vocabulary import fit_centers
    >>> fit_centers(np.array([[0.0], [2.0], [2.0]]), 3).ravel()
    array([0., 2., 0.], dtype=float32)
    """
    samples = np.asarray(samples, dtype=np.float32)
    distinct = _distinct(samples)
    if len(distinct) <= n_centers:
        copies = np.repeat(distinct[:1], n_centers - len(distinct), axis=0)
        return np.concatenate([distinct, copies])

    kmeans = MiniBatchKMeans(
        n_centers,
        batch_size=4096,
        init_size=min(len(samples), max(10 * n_centers, 4096)),
        n_init=1,
        max_iter=20,
        random_state=random_state,
    )
    return kmeans.fit(samples).cluster_centers_.astype(np.float32)


def nearest_center(samples: np.ndarray, centers: np.ndarray) -> np.ndarray:
    """Find the nearest center of each sample by the Euclidean distance.

    Parameters
    ----------
    samples : array of shape (n_samples, n_features), float32
        Points to assign.
    centers : array of shape (n_centers, n_features), float32
        A dictionary.

    Returns
    -------
    codes : array of shape (n_samples,), int32
        Row numbers in `centers`. Of equally near centers, the first is taken.
    """
    # ||x - c||^2 is smallest where x.c - ||c||^2 / 2 is largest.
    return highest_score(samples, centers, 0.5 * np.square(centers).sum(axis=1))


def highest_score(
    samples: np.ndarray, weights: np.ndarray, offsets: np.ndarray
) -> np.ndarray:
    """Find the highest of the linear scores ``weights @ sample - offsets``.

    Parameters
    ----------
    samples : array of shape (n_samples, n_features), float32
        Points to score. Contiguous arrays, or transposes of them, are fastest.
    weights : array of shape (n_scores, n_features), float32
        One row per score.
    offsets : array of shape (n_scores,), float32
        The number to subtract from each score.

    Returns
    -------
    codes : array of shape (n_samples,), int32
        Row numbers in `weights`. Of equal scores, the first is taken.
    """
    n_samples, n_scores = len(samples), len(weights)
    chunk = max(1, min(_CHUNK // n_scores, n_samples))
    codes = np.empty(n_samples, dtype=np.int32)
    projection = np.ascontiguousarray(weights.T)
    buffer = np.empty((chunk, n_scores), dtype=np.float32)
    for start in range(0, n_samples, chunk):
        part = samples[start : start + chunk]
        scores = np.matmul(part, projection, out=buffer[: len(part)])
        scores -= offsets
        codes[start : start + chunk] = scores.argmax(axis=1)
    return codes


def _distinct(samples: np.ndarray) -> np.ndarray:
    """Return the distinct rows, in the order of their first occurrence."""
    # Equal rows have equal projections. Sorting numbers is faster than sorting rows.
    direction = np.random.RandomState(0).normal(size=samples.shape[1])
    _, first = np.unique(samples.astype(np.float64) @ direction, return_index=True)
    return samples[np.sort(first)]
