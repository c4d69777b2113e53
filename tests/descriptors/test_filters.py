import numpy as np
import pytest
from scipy import ndimage

from sklearn_zoomout.descriptors._filters import (
    derivative,
    gaussian,
    laplacian,
    pixel_filters,
    reduction,
)


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


@pytest.mark.parametrize("sigma", [0.5, 2, 4])
def test_pixel_filters_agree_with_scipy(image, sigma):
    """A Gaussian, its gradient and the eigenvalues of its Hessian."""
    smooth = ndimage.gaussian_filter(image, sigma, mode="nearest", truncate=5)
    dy, dx = (2 * np.gradient(smooth, axis=axis) for axis in (0, 1))
    dyy, dxx = (2 * np.gradient(d, axis=a) for d, a in ((dy, 0), (dx, 1)))
    dxy = 2 * np.gradient(dx, axis=0)
    hessian = np.stack([dyy, dxy, dxy, dxx], axis=-1).reshape(*image.shape, 2, 2)
    low, high = np.moveaxis(np.linalg.eigvalsh(hessian), -1, 0)
    expected = np.stack([smooth, np.hypot(dx, dy), high, low])
    planes = pixel_filters(image[None], [sigma])
    assert planes.dtype == np.float32
    inside = np.s_[:, 2:-2, 2:-2]
    np.testing.assert_allclose(planes[inside], expected[inside], atol=2e-2)


@pytest.mark.parametrize(("sigma", "step"), [(0.3, 1), (7.9, 1), (8, 2), (16, 4)])
def test_large_gaussians_are_computed_on_a_reduced_image(sigma, step):
    """The result is that of the whole image, but for interpolation and borders."""
    assert reduction(sigma) == step
    image = np.random.default_rng(0).normal(size=(301, 290)).astype(np.float32)
    planes = pixel_filters(image[None], [sigma])
    expected = gaussian(image, sigma)
    assert planes.shape == (4, 301, 290)
    differ = np.abs(planes[0] - expected)[64:-64, 64:-64]
    assert differ.mean() < 0.1 * expected[64:-64, 64:-64].std()


def test_channels_and_sigmas_are_in_order(image):
    """First all filters of a channel, and in it all of a sigma."""
    both = pixel_filters(np.stack([image, 2 * image]), [1, 3])
    alone = pixel_filters(image[None], [3])
    np.testing.assert_array_equal(both[4:8], alone)
    np.testing.assert_allclose(both[8:], 2 * both[:8], rtol=1e-4, atol=1e-6)


def test_opponent_colors_come_last():
    """They are differences of the smoothed channels."""
    channels = np.random.default_rng(0).uniform(size=(3, 20, 30)).astype(np.float32)
    plain = pixel_filters(channels, [1, 8])
    planes = pixel_filters(channels, [1, 8], opponents=True)
    np.testing.assert_array_equal(planes[:-4], plain)
    red, green, blue = plain[0::4].reshape(3, 2, 20, 30)
    np.testing.assert_allclose(planes[-4:-2], red - green, atol=1e-6)
    np.testing.assert_allclose(planes[-2:], (red + green) / 2 - blue, atol=1e-6)


def test_an_image_of_one_pixel_has_filters():
    """It has no slope."""
    planes = pixel_filters(np.ones((1, 1, 1), np.float32), [0.5, 16])
    np.testing.assert_allclose(planes.ravel(), [1, 0, 0, 0] * 2, atol=1e-6)
