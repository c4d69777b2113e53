import numpy as np
from scipy.sparse import csr_array

from sklearn_zoomout.descriptors.histograms import entropy, normalize

COUNTS = np.array([[1, 3, 0, 4], [0, 0, 0, 0], [0, 0, 5, 0]], dtype=np.float32)


def test_normalized_rows_sum_to_one_and_empty_ones_to_zero():
    """Counts become frequencies; a region without counts divides nothing by zero."""
    histograms = normalize(csr_array(COUNTS))
    assert histograms.dtype == np.float32
    np.testing.assert_array_equal(
        histograms.toarray(),
        [[0.125, 0.375, 0, 0.5], [0, 0, 0, 0], [0, 0, 1, 0]],
    )


def test_entropy_is_in_nats():
    """A uniform histogram has the logarithm of its bins, one full bin has 0."""
    uniform = np.full((1, 32), 1 / 32)
    np.testing.assert_allclose(entropy(uniform), np.log(32), rtol=1e-6)
    p = np.array([0.125, 0.375, 0.5])
    expected = [-(p * np.log(p)).sum(), 0, 0]
    histograms = normalize(csr_array(COUNTS))
    np.testing.assert_allclose(entropy(histograms), expected, rtol=1e-6)


def test_entropy_of_sparse_and_dense_histograms_agree():
    """Both forms of a histogram have the same entropy."""
    histograms = normalize(csr_array(COUNTS))
    np.testing.assert_allclose(
        entropy(histograms), entropy(histograms.toarray()), rtol=1e-6
    )
