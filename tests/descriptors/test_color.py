import numpy as np
import pytest
from skimage.color import rgb2lab

from sklearn_zoomout.descriptors._color import (
    color_codes,
    color_features,
    color_names,
    rgb_to_lab,
)


@pytest.fixture
def rgb():
    return np.random.default_rng(0).random((20, 30, 3), dtype=np.float32)


def test_lab_is_cielab(rgb):
    """The conversion agrees with scikit-image's, which is slower."""
    np.testing.assert_allclose(rgb_to_lab(rgb), rgb2lab(rgb), atol=0.05)


@pytest.mark.parametrize("shape", [(1, 1), (1, 7), (3, 5), (17, 31), (60, 80)])
def test_lab_of_uint8_is_that_of_floats(shape):
    """The table of 256 values gives the same bits as the formula."""
    image = np.random.default_rng(0).integers(0, 256, (*shape, 3), dtype=np.uint8)
    np.testing.assert_array_equal(rgb_to_lab(image), rgb_to_lab(image / 255))


def test_grays_have_no_color():
    """Every gray has a = b = 0, up to rounding."""
    ramp = np.linspace(0, 1, 256, dtype=np.float32)
    lab = rgb_to_lab(np.repeat(ramp[None, :, None], 3, axis=2))
    np.testing.assert_allclose(lab[..., 1:], 0, atol=1e-3)
    assert (np.diff(lab[0, :, 0]) > 0).all()


def test_equal_bins_cover_the_range_of_each_channel(rgb):
    """Bins are those of a histogram over 0..100 and -128..128."""
    lab = rgb_to_lab(rgb)
    codes = color_codes(lab)
    for channel, bounds in enumerate([(0, 100), (-128, 128), (-128, 128)]):
        # Less than half a level (1 / 65,536 of the range) below an edge is on it.
        values = lab[..., channel] + (bounds[1] - bounds[0]) / 2**17
        expected, _ = np.histogram(values, bins=32, range=bounds)
        counts = np.bincount(codes[channel].ravel(), minlength=32)
        np.testing.assert_array_equal(counts, expected)


def test_grays_fall_into_one_bin():
    """Rounding errors around a = b = 0, an edge of the bins, do not scatter them."""
    lab = np.zeros((1, 9, 3), dtype=np.float32)
    lab[..., 1:] = np.linspace(-1e-4, 1e-4, 9)[:, None]
    assert (color_codes(lab)[1:3] == 16).all()


def test_equal_bins_hold_the_ends_of_the_range():
    """White is in the last bin of L, and nothing falls outside of the bins."""
    lab = np.array([[[100, 128, -128], [0, -128, 127.9]]], dtype=np.float32)
    np.testing.assert_array_equal(color_codes(lab)[:3, 0].T, [[31, 31, 0], [0, 0, 31]])


def test_quantile_bins_lie_between_the_quantiles_of_the_image(rgb):
    """Bins are those that numpy's quantiles cut, ties included."""
    lab = rgb_to_lab(rgb)
    lab[:5] = lab[0, 0]
    codes = color_codes(lab)
    for channel in range(3):
        values = lab[..., channel]
        edges = np.quantile(values, np.arange(1, 32) / 32, method="inverted_cdf")
        expected = np.searchsorted(edges, values, side="right")
        np.testing.assert_array_equal(codes[3 + channel], expected)


def test_quantile_bins_are_filled_evenly(rgb):
    """Without ties every quantile bin holds a 32nd of the pixels."""
    codes = color_codes(rgb_to_lab(rgb))[3:]
    for code in codes:
        counts = np.bincount(code.ravel(), minlength=32)
        assert np.abs(counts - 600 / 32).max() <= 2


def test_features_are_histograms_of_32_and_of_8_bins(rgb):
    """The features of one region equal histograms computed from its pixels."""
    lab = rgb_to_lab(rgb)
    codes = color_codes(lab)
    counts = [np.bincount(code.ravel(), minlength=32) for code in codes]
    features = color_features(np.concatenate(counts)[None])[0]
    values = dict(zip(color_names(), features, strict=True))
    assert len(values) == 243
    for channel, name in enumerate("Lab"):
        bounds = (0, 100) if name == "L" else (-128, 128)
        half_level = (bounds[1] - bounds[0]) / 2**17
        for n_bins in (32, 8):
            expected, _ = np.histogram(lab[..., channel] + half_level, n_bins, bounds)
            got = [values[f"{name}_hist{n_bins}_{i:02d}"] for i in range(n_bins)]
            np.testing.assert_allclose(got, expected / 600, rtol=1e-5)
        quantiles = [values[f"{name}_quantile8_{i:02d}"] for i in range(8)]
        np.testing.assert_allclose(quantiles, 1 / 8, atol=0.005)
        p = counts[channel][counts[channel] > 0] / 600
        np.testing.assert_allclose(
            values[f"{name}_hist32_entropy"], -(p * np.log(p)).sum(), rtol=1e-5
        )


def test_constant_image_fills_one_bin():
    """All pixels of a constant image share a bin, so the entropies are 0."""
    codes = color_codes(np.full((4, 5, 3), 30, dtype=np.float32))
    assert (codes.reshape(6, -1) == codes[:, 0, :1]).all()
