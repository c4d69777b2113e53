import numpy as np
import pytest
from scipy import ndimage

from sklearn_zoomout.descriptors._filters import derivative, gaussian, laplacian


@pytest.fixture
def image():
    return np.random.default_rng(0).normal(size=(40, 50)).astype(np.float32)


@pytest.mark.parametrize("sigma", [0.5, 1, 2, 4])
def test_gaussian_agrees_with_scipy(image, sigma):
    """Sigma is the standard deviation in pixels; the border is repeated."""
    expected = ndimage.gaussian_filter(image, sigma, mode="nearest", truncate=4)
    np.testing.assert_allclose(gaussian(image, sigma), expected, atol=2e-3)


def test_derivatives_are_differences_along_an_axis(image):
    """Inside of the image they are twice numpy's gradient."""
    for axis in (0, 1):
        expected = 2 * np.gradient(image, axis=axis)[1:-1, 1:-1]
        got = derivative(image, axis)[1:-1, 1:-1]
        np.testing.assert_allclose(got, expected, atol=1e-5)


def test_laplacian_agrees_with_scipy(image):
    """It is the sum of second differences."""
    expected = ndimage.laplace(image, mode="nearest")
    np.testing.assert_allclose(laplacian(image), expected, atol=1e-5)
