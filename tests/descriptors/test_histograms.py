import numpy as np
from scipy.stats import entropy as entropy_of_scipy

from sklearn_zoomout.descriptors._histograms import entropy, normalize

COUNTS = np.array([[1, 3, 0, 4], [0, 0, 0, 0], [0, 0, 5, 0]], dtype=np.float32)


def test_normalized_rows_sum_to_one_and_empty_ones_to_zero():
    """Counts become frequencies; a region without counts divides nothing by zero."""
    histograms = normalize(COUNTS)
    assert histograms.dtype == np.float32
    np.testing.assert_array_equal(
        histograms,
        [[0.125, 0.375, 0, 0.5], [0, 0, 0, 0], [0, 0, 1, 0]],
    )


def test_entropy_is_in_nats():
    """A uniform histogram has the logarithm of its bins, one full bin has 0."""
    uniform = np.full((1, 32), 1 / 32)
    np.testing.assert_allclose(entropy(uniform), np.log(32), rtol=1e-6)
    p = np.array([0.125, 0.375, 0.5])
    expected = [-(p * np.log(p)).sum(), 0, 0]
    histograms = normalize(COUNTS)
    np.testing.assert_allclose(entropy(histograms), expected, rtol=1e-6)


def test_entropy_agrees_with_scipy():
    """Histograms along the last axis, of any shape before it."""
    counts = np.random.default_rng(0).integers(0, 4, (3, 6, 32))
    expected = entropy_of_scipy(counts, axis=-1)
    np.testing.assert_allclose(entropy(normalize(counts)), expected, rtol=1e-6)
