"""The proximal level: hand-crafted features of neighborhoods."""

import pickle

import numpy as np
import pytest
from joblib import parallel_config
from sklearn.base import clone
from sklearn.pipeline import FeatureUnion

from sklearn_zoomout import LocalFeatures, ProximalFeatures, SegmentedImage, Superpixels
from sklearn_zoomout.descriptors._color import rgb_to_lab
from sklearn_zoomout.descriptors._sift import grid, image_sift
from sklearn_zoomout.descriptors._texture import assign_textons, filter_responses
from sklearn_zoomout.descriptors._words import assign_words

SMALL = {"n_textons": 8, "n_words": 16, "random_state": 0}


def columns_of(table, *prefixes):
    """Return the columns whose names begin with one of the prefixes."""
    chosen = [
        i
        for i, name in enumerate(table.columns)
        if name.split("__")[1].startswith(prefixes)
    ]
    return table.to_numpy()[:, chosen]


def mask_of_region(segmented, superpixel, radius=2):
    """Mark the pixels of all superpixels within the radius, by walking the graph."""
    reached = {superpixel}
    for _ in range(radius):
        reached |= {j for i in reached for j in segmented.adjacency[[i]].indices}
    return np.isin(segmented.segments, list(reached))


def test_there_are_1818_columns_named_after_the_level(superpixels):
    """The proximal level has the local columns, in a block of its own name."""
    superpixels = superpixels[:1]  # fewer samples to cluster
    features = ProximalFeatures(random_state=0)
    table = features.fit_transform(superpixels)
    assert table.n_columns == 1818
    assert table.block_names == ["proximal"]
    local = LocalFeatures(random_state=0).fit(superpixels)
    np.testing.assert_array_equal(
        features.get_feature_names_out(), local.get_feature_names_out()
    )


@pytest.mark.parametrize("superpixel", [0, 17, -1])
def test_histograms_are_those_of_the_pixels_of_the_region(superpixels, superpixel):
    """Sums over superpixels equal histograms computed from the pixels directly."""
    segmented = superpixels[1]
    features = ProximalFeatures(**SMALL).fit(superpixels)
    table = features.transform(superpixels[1:2])
    superpixel %= segmented.n_segments
    inside = mask_of_region(segmented, superpixel)
    assert 0 < inside.sum() < inside.size
    lab = rgb_to_lab(segmented.rgb)
    for channel, name in enumerate("Lab"):
        bounds = (0, 100) if name == "L" else (-128, 128)
        for n_bins in (32, 8):
            # Less than half a level (1 / 65,536 of the range) below an edge is on it.
            values = lab[inside, channel] + (bounds[1] - bounds[0]) / 2**17
            counts, _ = np.histogram(values, n_bins, bounds)
            row = columns_of(table, f"{name}_hist{n_bins}_")[superpixel, :n_bins]
            # A pixel that lies on the edge of two bins, but for rounding, may move.
            one_pixel = 1.01 / inside.sum()
            np.testing.assert_allclose(row, counts / counts.sum(), atol=one_pixel)
    textons = assign_textons(
        filter_responses(lab),
        features.textons_,
        features.texton_mean_,
        features.texton_scale_,
    )
    p = np.bincount(textons[inside], minlength=8) / inside.sum()
    row = columns_of(table, "texton_")[superpixel]
    np.testing.assert_allclose(row[:8], p, rtol=1e-5)
    p = p[p > 0]
    np.testing.assert_allclose(row[8], -(p * np.log(p)).sum(), rtol=1e-5, atol=1e-6)


def test_word_histograms_are_those_of_the_points_of_the_region(superpixels):
    """Words are counted at the grid points that the region holds."""
    segmented = superpixels[0]
    features = ProximalFeatures(**SMALL).fit(superpixels)
    table = features.transform(superpixels[:1])
    inside = mask_of_region(segmented, 5)[np.ix_(*grid(segmented.shape))].ravel()
    words = assign_words(image_sift(rgb_to_lab(segmented.rgb)), features.words_)
    p = [np.bincount(pair[inside], minlength=16) / inside.sum() for pair in words]
    expected = np.concatenate([(p[k] + p[k + 1]) / 2 for k in (0, 2, 4)])
    got = columns_of(table, "sift_L_word", "sift_a_word", "sift_b_word")[5]
    np.testing.assert_allclose(got, expected, rtol=1e-5)
    entropies = [-(q[q > 0] * np.log(q[q > 0])).sum() for q in p]
    got = columns_of(table, "sift_")[5, -6:]
    np.testing.assert_allclose(got, entropies, rtol=1e-5, atol=1e-6)


def test_location_is_the_centroid_of_the_region(superpixels):
    """It is not that of the superpixel."""
    segmented = superpixels[2]
    table = ProximalFeatures(descriptors=["location"]).fit_transform(superpixels[2:3])
    rows, columns = np.nonzero(mask_of_region(segmented, 3))
    height, width = segmented.shape
    expected = [
        (rows.mean() - (height - 1) / 2) / height,
        (columns.mean() - (width - 1) / 2) / width,
    ]
    np.testing.assert_allclose(table.to_numpy()[3, :2], expected, rtol=1e-5)


def test_radius_zero_is_the_local_level(superpixels):
    """A region of one superpixel has the features of that superpixel."""
    local = LocalFeatures(**SMALL).fit_transform(superpixels)
    proximal = ProximalFeatures(radius=0, **SMALL).fit_transform(superpixels)
    np.testing.assert_array_equal(local.to_numpy(), proximal.to_numpy())


def test_only_a_region_without_any_grid_point_borrows_one():
    """A superpixel between grid points takes words of its neighbor, a region not."""
    image = np.random.default_rng(0).integers(0, 256, (8, 24, 3), dtype=np.uint8)
    segments = np.tile(np.repeat([0, 1, 2], [2, 6, 16]), (8, 1))
    superpixels = Superpixels([SegmentedImage(image, segments)])
    params = {"descriptors": ["sift"], "n_words": 4, "random_state": 0}
    local = LocalFeatures(**params).fit_transform(superpixels).to_numpy()
    near = ProximalFeatures(radius=1, **params).fit_transform(superpixels).to_numpy()
    np.testing.assert_array_equal(local[0], local[1])
    np.testing.assert_array_equal(near[0], local[1])


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_union_with_the_local_level(superpixels, n_jobs):
    """Both levels share dictionaries, also when they are fitted in threads."""
    params = {"n_textons": 8, "n_words": 16}
    levels = [("local", LocalFeatures(**params)), ("near", ProximalFeatures(**params))]
    with parallel_config("threading", n_jobs=n_jobs):
        union = FeatureUnion(levels)
        table = union.fit_transform(superpixels)
    assert table.block_names == ["local", "proximal"]
    fitted = [level for _, level in union.transformer_list]
    assert fitted[0].words_ is fitted[1].words_
    alone = fitted[1].transform(superpixels).to_numpy()
    np.testing.assert_array_equal(table.to_numpy()[:, alone.shape[1] :], alone)


def test_constant_and_tiny_images():
    """Entropies are 0 and nothing is NaN."""
    images = [np.full((1, 1, 3), 9, np.uint8), np.full((1, 30, 3), 9, np.uint8)]
    segments = [np.zeros((1, 1), int), np.arange(30)[None] // 10]
    superpixels = Superpixels(map(SegmentedImage, images, segments))
    table = ProximalFeatures(random_state=0).fit_transform(superpixels)
    assert np.isfinite(table.to_numpy()).all()
    assert not columns_of(table, "texton_entropy", "L_hist32_entropy").any()


def test_clone_and_pickle(superpixels):
    """The radius survives cloning, the dictionaries survive pickling."""
    features = ProximalFeatures(radius=1, **SMALL)
    expected = features.fit_transform(superpixels).to_numpy()
    assert clone(features).get_params() == features.get_params()
    restored = pickle.loads(pickle.dumps(features))
    np.testing.assert_array_equal(restored.transform(superpixels).to_numpy(), expected)


@pytest.mark.parametrize("radius", [-1, 1.5, "2", True])
def test_wrong_radius_is_refused(superpixels, radius):
    """The radius is a number of steps on the graph."""
    with pytest.raises(ValueError, match="'radius' parameter"):
        ProximalFeatures(radius=radius).fit(superpixels)
