import numpy as np
import pytest
from scipy.spatial.distance import cdist
from sklearn.cluster import KMeans

from sklearn_zoomout.descriptors import _vocabulary as vocabulary
from sklearn_zoomout.descriptors._vocabulary import (
    fit_centers,
    highest_score,
    nearest_center,
)


@pytest.fixture
def samples():
    return np.random.default_rng(0).normal(size=(500, 6)).astype(np.float32)


def test_nearest_center_minimizes_the_distance(samples, monkeypatch):
    """The matrix product in chunks finds what comparing all distances finds."""
    monkeypatch.setattr(vocabulary, "_CHUNK", 200)
    centers = samples[:30]
    expected = cdist(samples, centers).argmin(axis=1)
    np.testing.assert_array_equal(nearest_center(samples, centers), expected)


def test_highest_score_takes_samples_in_either_order_of_memory(samples, monkeypatch):
    """Rows or columns may lie together; of equal scores the first is the highest."""
    monkeypatch.setattr(vocabulary, "_CHUNK", 200)
    weights = np.concatenate([samples[:9], samples[:9]])
    offsets = np.tile(np.arange(9, dtype=np.float32), 2)
    expected = (samples @ weights[:9].T - offsets[:9]).argmax(axis=1)
    for order in "CF":
        ordered = np.asarray(samples, order=order)
        got = highest_score(ordered, weights, offsets)
        np.testing.assert_array_equal(got, expected)


def test_centers_are_about_as_good_as_those_of_full_kmeans(samples):
    """Mini-batches lose little against Lloyd's algorithm."""
    centers = fit_centers(samples, 20, random_state=0)
    inertia = np.square(cdist(samples, centers).min(axis=1)).sum()
    reference = KMeans(20, n_init=3, random_state=0).fit(samples).inertia_
    assert inertia < 1.1 * reference


def test_centers_repeat_with_the_seed(samples):
    """The same seed gives the same centers, another one gives others."""
    first, again, other = (fit_centers(samples, 9, seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)


def test_few_distinct_samples_fill_the_dictionary_with_copies():
    """A constant image gives a dictionary of full size whose copies are unused."""
    samples = np.repeat(np.eye(3, dtype=np.float32), 50, axis=0)
    centers = fit_centers(samples, 10, random_state=0)
    assert centers.shape == (10, 3)
    np.testing.assert_array_equal(centers[:3], np.eye(3))
    np.testing.assert_array_equal(
        nearest_center(samples, centers), np.repeat([0, 1, 2], 50)
    )
