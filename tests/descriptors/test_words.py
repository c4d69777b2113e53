import numpy as np
import pytest
from scipy.sparse import csr_array, eye_array
from scipy.stats import entropy

from sklearn_zoomout.descriptors._words import (
    assign_words,
    fit_words,
    points_of_regions,
    word_features,
    word_names,
)


@pytest.fixture
def segments():
    """Four columns of 4, 4, 8 and 8 pixels, with grid points at 4, 12 and 20."""
    return np.tile(np.repeat([0, 1, 2, 3], [4, 4, 8, 8]), (8, 1))


CENTROIDS = np.array([[3.5, 1.5], [3.5, 5.5], [3.5, 11.5], [3.5, 19.5]])


def test_a_superpixel_holds_the_points_on_it(segments):
    """Every grid point belongs to the superpixel at its pixel."""
    near = eye_array(4, dtype=np.float32, format="csr")
    held = points_of_regions(segments, near, CENTROIDS).toarray()
    np.testing.assert_array_equal(held[1:], np.eye(3))


def test_a_superpixel_without_a_point_takes_the_nearest(segments):
    """The first column holds no point and borrows its neighbor's."""
    near = eye_array(4, dtype=np.float32, format="csr")
    held = points_of_regions(segments, near, CENTROIDS).toarray()
    np.testing.assert_array_equal(held[0], [1, 0, 0])


def test_a_region_borrows_only_if_all_of_it_holds_no_point(segments):
    """A superpixel without a point adds nothing to a region that holds one."""
    near = csr_array(np.array([[1, 0, 1, 0], [1, 0, 0, 0]], dtype=np.float32))
    held = points_of_regions(segments, near, CENTROIDS[[2, 3]]).toarray()
    np.testing.assert_array_equal(held, [[0, 1, 0], [0, 0, 1]])


def test_features_average_patch_sizes_and_keep_six_entropies():
    """Per channel two histograms are averaged; entropies are those before."""
    membership = csr_array(np.array([[1, 1], [0, 1]], dtype=np.float32))
    codes = np.array([[0, 1], [2, 2], [1, 1], [1, 1], [0, 2], [1, 2]])
    features = word_features(membership, codes, 3)
    values = dict(zip(word_names(3), features.T, strict=True))
    words = features[:, :9].reshape(2, 3, 3)
    np.testing.assert_allclose(
        words[0], [[0.25, 0.25, 0.5], [0, 1, 0], [0.25, 0.25, 0.5]]
    )
    np.testing.assert_allclose(words[1], [[0, 0.5, 0.5], [0, 1, 0], [0, 0, 1]])
    log2 = np.log(2)
    expected = [log2, 0, 0, 0, log2, log2]
    np.testing.assert_allclose(features[0, 9:], expected, rtol=1e-6)
    np.testing.assert_allclose(values["sift_L_8px_entropy"], [log2, 0], rtol=1e-6)
    np.testing.assert_allclose(values["sift_b_18px_entropy"], [log2, 0], rtol=1e-6)
    assert len(set(word_names())) == 1506


def test_features_are_those_of_a_loop_over_regions():
    """Histograms and entropies equal numpy's and scipy's, region by region."""
    rng = np.random.default_rng(0)
    held = rng.random((7, 40)) < 0.3
    codes = rng.integers(0, 9, (6, 40)).astype(np.uint8)
    features = word_features(csr_array(held.astype(np.float32)), codes, 9)
    nothing = csr_array((1, 40), dtype=np.float32)
    assert not word_features(nothing, codes, 9).any()
    for row, points in zip(features, held, strict=True):
        histograms = np.array(
            [np.bincount(words[points], minlength=9) / points.sum() for words in codes]
        )
        averages = (histograms[::2] + histograms[1::2]) / 2
        np.testing.assert_allclose(row[:27], averages.ravel(), rtol=1e-6)
        np.testing.assert_allclose(row[27:], entropy(histograms, axis=1), rtol=1e-5)


def test_descriptors_get_the_nearest_word():
    """Words are centers, and a center is its own word."""
    samples = np.random.default_rng(0).random((300, 128), dtype=np.float32)
    words = fit_words(samples, 20, random_state=0)
    codes = assign_words(words.reshape(2, 10, 128), words)
    np.testing.assert_array_equal(codes, np.arange(20).reshape(2, 10))
