"""Normalized histograms of codes, and their entropy."""

import numpy as np


def normalize(counts: np.ndarray) -> np.ndarray:
    """Divide each histogram by its sum. An empty histogram stays empty.

    Parameters
    ----------
    counts : array of shape (..., n_codes)
        Number of pixels of each code in each region.

    Returns
    -------
    histograms : array of shape (..., n_codes), float32
        They sum to 1 over the last axis, or to 0 if the counts are all 0.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_zoomout.descriptors._histograms import normalize
    >>> normalize(np.array([[1, 3], [0, 0]]))
    array([[0.25, 0.75],
           [0.  , 0.  ]], dtype=float32)
    """
    counts = counts.astype(np.float32, copy=False)
    return counts / np.maximum(counts.sum(axis=-1, keepdims=True), 1)


def entropy(histograms: np.ndarray) -> np.ndarray:
    """Compute the entropy of normalized histograms, in nats.

    The entropy of an empty histogram is 0.

    Parameters
    ----------
    histograms : array of shape (..., n_codes)
        Histograms that sum to 1 over the last axis, or to 0.

    Returns
    -------
    entropy : array of shape (...), float32
        Between 0 and ``log(n_codes)``.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_zoomout.descriptors._histograms import entropy
    >>> entropy(np.array([[0.5, 0.5], [1.0, 0.0], [0.0, 0.0]])).round(3)
    array([0.693, 0.   , 0.   ], dtype=float32)
    """
    p = histograms.astype(np.float32, copy=False)
    # A subtraction from 0 makes 0, where a negation would make -0.
    return 0 - (p * np.log(np.where(p > 0, p, 1))).sum(axis=-1)
