"""Properties of superpixels, boxes, neighborhoods, tiles and windows."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from scipy import ndimage

from sklearn_zoomout import SegmentedImage
from sklearn_zoomout.descriptors import cut_patches
from sklearn_zoomout.features.convnet._pooling import BoxPooling
from sklearn_zoomout.rasters import open_raster
from sklearn_zoomout.superpixels import slic
from sklearn_zoomout.tiles._grid import Grid, choose_grid

SHAPES = array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=12)
SEGMENTS = arrays(np.int64, SHAPES, elements=st.integers(-3, 20))


def segmented(segments):
    return SegmentedImage(np.zeros((*segments.shape, 3), np.float32), segments)


@given(SEGMENTS)
def test_label_maps_are_renumbered_in_order(segments):
    """Labels are 0 to n - 1, and keep their order."""
    found = segmented(segments)
    _, expected = np.unique(segments, return_inverse=True)
    np.testing.assert_array_equal(found.segments, expected.reshape(segments.shape))
    assert found.n_segments == expected.max() + 1


@given(SEGMENTS)
def test_areas_sum_to_the_image(segments):
    """Every pixel is of one superpixel."""
    found = segmented(segments)
    assert found.areas.sum() == segments.size
    assert (found.areas > 0).all()
    weighted = (found.centroids * found.areas[:, None]).sum(axis=0)
    expected = np.indices(segments.shape).reshape(2, -1).sum(axis=1)
    np.testing.assert_allclose(weighted, expected, atol=1e-6)


@given(SEGMENTS)
def test_boxes_are_the_smallest(segments):
    """They hold all pixels of their superpixel, and touch them on four sides."""
    found = segmented(segments)
    for label, (top, left, bottom, right) in enumerate(found.boxes.tolist()):
        rows, columns = np.nonzero(found.segments == label)
        assert (top, bottom) == (rows.min(), rows.max() + 1)
        assert (left, right) == (columns.min(), columns.max() + 1)


@given(SEGMENTS)
def test_adjacency_is_that_of_pairs_of_pixels(segments):
    """It is symmetric, and two superpixels are adjacent if two of their pixels are."""
    found = segmented(segments)
    labels, n = found.segments, found.n_segments
    expected = np.zeros((n, n), bool)
    for one, other in ((labels[1:], labels[:-1]), (labels[:, 1:], labels[:, :-1])):
        expected[one.ravel(), other.ravel()] = True
    expected |= expected.T
    np.fill_diagonal(expected, False)
    np.testing.assert_array_equal(found.adjacency.toarray() > 0, expected)


@given(SEGMENTS, st.integers(0, 3))
def test_neighborhoods_are_reached_in_so_many_steps(segments, radius):
    """Radius 0 is the superpixel alone, and each step adds the adjacent ones."""
    found = segmented(segments)
    step = found.adjacency.toarray() + np.eye(found.n_segments)
    expected = np.linalg.matrix_power(step, radius) > 0
    np.testing.assert_array_equal(found.neighborhood(radius).toarray() > 0, expected)
    np.testing.assert_array_equal(found.region_areas(radius), expected @ found.areas)


@given(SEGMENTS, st.integers(0, 3))
def test_boxes_of_regions_hold_those_of_their_superpixels(segments, radius):
    """They are the smallest that do."""
    found = segmented(segments)
    inside = found.neighborhood(radius).toarray() > 0
    for box, members in zip(found.region_boxes(radius), inside, strict=True):
        boxes = found.boxes[members]
        expected = [*boxes[:, :2].min(axis=0), *boxes[:, 2:].max(axis=0)]
        assert box.tolist() == expected


@given(SEGMENTS, st.integers(1, 5), st.data())
def test_counts_of_codes_are_those_of_a_loop(segments, n_codes, data):
    """The histograms of all superpixels sum to that of the image."""
    found = segmented(segments)
    codes = data.draw(
        arrays(np.int64, segments.shape, elements=st.integers(0, n_codes - 1))
    )
    counts = found.count(codes, n_codes)
    np.testing.assert_array_equal(counts.sum(axis=1), found.areas)
    np.testing.assert_array_equal(
        counts.sum(axis=0), np.bincount(codes.ravel(), minlength=n_codes)
    )


@given(
    st.integers(1, 200),
    st.integers(1, 200),
    st.integers(1, 40),
    st.integers(0, 80),
    st.one_of(st.none(), st.integers(1, 120)),
)
def test_tiles_cover_each_pixel_once(height, width, unit, margin, size):
    """Windows hold their tile and its margin, as far as the image goes."""
    covered = np.zeros((height, width), int)
    for tile in Grid(unit, margin).tiles((height, width), size):
        top, left, bottom, right = tile.window
        covered[tile.top : tile.bottom, tile.left : tile.right] += 1
        window = np.indices((height, width))[:, top:bottom, left:right]
        inside = window[(slice(None), *tile.inside)]
        assert inside[:, 0, 0].tolist() == [tile.top, tile.left]
        assert inside.shape[1:] == (tile.bottom - tile.top, tile.right - tile.left)
        assert top == max(tile.top - margin, 0)
        assert right == min(tile.right + margin, width)
    assert (covered == 1).all()


@given(
    st.one_of(st.none(), st.integers(1, 60)),
    st.sets(st.integers(1, 60), max_size=3),
    st.one_of(st.none(), st.integers(0, 300)),
)
def test_margins_of_grids_are_whole_units(cell, blocks, margin):
    """They are at least as wide as asked for, and less than a unit wider."""
    grid = choose_grid(cell, blocks, margin)
    assert grid.unit >= 1
    assert grid.margin % grid.unit == 0
    if margin is not None:
        assert margin <= grid.margin < margin + grid.unit


@given(SHAPES, st.data(), st.integers(1, 9))
def test_crops_at_borders_stay_within_the_values_of_their_box(shape, data, size):
    """Pixels outside of a box have no influence."""
    image = data.draw(
        arrays(np.float32, (*shape, 3), elements=st.floats(0, 1, width=32))
    )
    top, left = (data.draw(st.integers(0, n - 1)) for n in shape)
    bottom = data.draw(st.integers(top + 1, shape[0]))
    right = data.draw(st.integers(left + 1, shape[1]))
    (patch,) = cut_patches(image, np.array([[top, left, bottom, right]]), size)
    box = image[top:bottom, left:right]
    assert patch.shape == (3, size, size)
    assert (patch >= box.min(axis=(0, 1))[:, None, None] - 1e-5).all()
    assert (patch <= box.max(axis=(0, 1))[:, None, None] + 1e-5).all()


@given(st.integers(1, 40), st.integers(1, 40), st.data())
def test_averages_of_boxes_are_means(height, width, data):
    """A map of the size of the image is averaged exactly."""
    import torch

    rng = np.random.default_rng(data.draw(st.integers(0, 99)))
    values = rng.random((2, height, width), dtype=np.float32)
    top, left = rng.integers(height), rng.integers(width)
    bottom, right = rng.integers(top, height) + 1, rng.integers(left, width) + 1
    pooling = BoxPooling(torch.from_numpy(values), (height, width))
    found = pooling.average(np.array([[top, left, bottom, right]])).numpy().ravel()
    expected = values[:, top:bottom, left:right].mean(axis=(1, 2))
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)


@given(st.integers(1, 24), st.integers(1, 24), st.integers(1, 60), st.integers(0, 99))
def test_superpixels_are_connected_and_cover_the_image(height, width, n, seed):
    """Their labels are consecutive, whatever the picture is."""
    rng = np.random.default_rng(seed)
    lab = rng.random((height, width, 3), dtype=np.float32) * 100
    segments = slic(lab, min(n, height * width), compactness=10)
    assert segments.shape == (height, width)
    labels = np.unique(segments)
    np.testing.assert_array_equal(labels, np.arange(len(labels)))
    for label in labels:
        assert ndimage.label(segments == label)[1] == 1


@given(
    arrays(np.uint16, array_shapes(min_dims=3, max_dims=3, max_side=9)),
    st.data(),
)
def test_windows_of_rasters_are_slices(values, data):
    """Reduced to its own size, an image is what it was."""
    raster = open_raster(values, channel_axis=-1)
    height, width = values.shape[:2]
    top, left = (data.draw(st.integers(0, n - 1)) for n in (height, width))
    bottom = data.draw(st.integers(top + 1, height))
    right = data.draw(st.integers(left + 1, width))
    window = raster.read(top, left, bottom, right)
    np.testing.assert_array_equal(window, values[top:bottom, left:right])
    np.testing.assert_array_equal(raster.read_reduced(height, width)[0], values)
