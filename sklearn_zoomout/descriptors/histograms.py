"""Histograms of codes: from counts to frequencies and their entropy."""

import numpy as np
from scipy import sparse
from scipy.special import entr


def normalize(counts: sparse.csr_array) -> sparse.csr_array:
    """Divide each row by its sum; an empty row stays empty.

    Parameters
    ----------
    counts : csr array of shape (n_regions, n_codes)
        How often each region holds each code.

    Returns
    -------
    histograms : csr array of shape (n_regions, n_codes), float32
        Rows that sum to 1, or to 0 where a region holds nothing.

    Examples
    --------
    >>> from scipy.sparse import csr_array
    >>> from sklearn_zoomout.descriptors.histograms import normalize
    >>> normalize(csr_array([[1, 3], [0, 0]])).toarray()
    array([[0.25, 0.75],
           [0.  , 0.  ]], dtype=float32)
    """
    totals = np.asarray(counts.sum(axis=1), dtype=np.float64)
    # Rows without entries are not repeated, so nothing is divided by zero.
    values = counts.data / np.repeat(totals, np.diff(counts.indptr))
    return sparse.csr_array(
        (values.astype(np.float32), counts.indices, counts.indptr), shape=counts.shape
    )


def entropy(histograms: np.ndarray | sparse.csr_array) -> np.ndarray:
    """Entropy of normalized histograms, in nats; that of an empty one is 0.

    Parameters
    ----------
    histograms : array of shape (..., n_codes) or csr array of shape (n, n_codes)
        Histograms that sum to 1 over the last axis, or to 0.

    Returns
    -------
    entropy : array of shape (...) or (n,), float32
        Between 0 and ``log(n_codes)``.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_zoomout.descriptors.histograms import entropy
    >>> entropy(np.array([[0.5, 0.5], [1.0, 0.0], [0.0, 0.0]])).round(3)
    array([0.693, 0.   , 0.   ], dtype=float32)
    """
    if isinstance(histograms, sparse.csr_array):
        n_rows = histograms.shape[0]
        rows = np.repeat(np.arange(n_rows), np.diff(histograms.indptr))
        sums = np.bincount(rows, weights=entr(histograms.data), minlength=n_rows)
        return sums.astype(np.float32)
    return entr(histograms).sum(axis=-1).astype(np.float32)
