import pickle

import numpy as np
import pytest
from scipy import ndimage
from scipy.sparse.csgraph import shortest_path

from sklearn_zoomout import SegmentedImage, SuperpixelSegmenter
from sklearn_zoomout.superpixels._label_maps import borders


@pytest.fixture
def segmented(superpixels):
    return superpixels[0]


def test_labels_are_renumbered_from_zero():
    """Any integer labels will do; their order is kept."""
    segmented = SegmentedImage(np.zeros((1, 4, 3)), np.array([[7, -2, 7, 40]]))
    np.testing.assert_array_equal(segmented.segments, [[1, 0, 1, 2]])
    assert segmented.n_segments == 3


@pytest.mark.parametrize("dtype", [np.uint8, np.int8, np.int64, np.uint64])
def test_gaps_between_labels_are_closed(dtype):
    """Labels may be few among many numbers, of any type; they are not changed."""
    highest = np.iinfo(dtype).max
    for values in [[0, 3, 5, 3], [1, 2, 3, 4], [highest, 0, 7, highest]]:
        labels = np.array([values] * 2, dtype=dtype)
        segments = SegmentedImage(np.zeros((2, 4, 3)), labels).segments
        expected = np.unique(labels, return_inverse=True)[1].reshape(2, 4)
        np.testing.assert_array_equal(segments, expected)
        assert segments.dtype == np.int32
        np.testing.assert_array_equal(labels, [values] * 2)


@pytest.mark.parametrize("shape", [(7, 11), (1, 9), (9, 1), (1, 1)])
def test_borders_are_those_between_neighboring_pixels(shape):
    """Pairs come side by side first, then one above the other."""
    segments = np.random.default_rng(0).integers(0, 4, shape)
    height, width = shape
    pairs = [((r, c), (r, c + 1)) for r in range(height) for c in range(width - 1)]
    pairs += [((r, c), (r + 1, c)) for r in range(height - 1) for c in range(width)]
    labels = [(segments[one], segments[other]) for one, other in pairs]
    expected = [(one, other) for one, other in labels if one != other]
    assert list(zip(*borders(segments), strict=True)) == expected


def test_boxes_areas_and_centroids_agree_with_ndimage(segmented):
    """The reductions equal scipy's, superpixel by superpixel."""
    labels, index = segmented.segments + 1, np.arange(1, segmented.n_segments + 1)
    boxes = [
        [rows.start, columns.start, rows.stop, columns.stop]
        for rows, columns in ndimage.find_objects(labels)
    ]
    np.testing.assert_array_equal(segmented.boxes, boxes)
    ones = np.ones(segmented.shape)
    np.testing.assert_allclose(segmented.areas, ndimage.sum(ones, labels, index))
    centroids = ndimage.center_of_mass(ones, labels, index)
    np.testing.assert_allclose(segmented.centroids, centroids)


def test_adjacency_is_4_connectivity():
    """Superpixels that touch at a corner only are no neighbors."""
    segmented = SegmentedImage(np.zeros((2, 2, 3)), np.array([[0, 1], [2, 3]]))
    expected = [[0, 1, 1, 0], [1, 0, 0, 1], [1, 0, 0, 1], [0, 1, 1, 0]]
    np.testing.assert_array_equal(segmented.adjacency.toarray(), expected)


@pytest.mark.parametrize("radius", [0, 1, 2, 3])
def test_neighborhood_is_the_ball_of_the_graph(segmented, radius):
    """It holds exactly the superpixels within that graph distance."""
    graph = segmented.adjacency.toarray().astype(float)
    distance = shortest_path(graph, unweighted=True)
    reached = segmented.neighborhood(radius).toarray()
    np.testing.assert_array_equal(reached, distance <= radius)


@pytest.mark.parametrize("radius", [0, 2, 3])
def test_regions_agree_with_their_pixels(segmented, radius):
    """Area, centroid and box of a region equal those of its set of pixels."""
    near = segmented.neighborhood(radius).toarray().astype(bool)
    for i in range(0, segmented.n_segments, 7):
        rows, columns = np.nonzero(near[i][segmented.segments])
        assert segmented.region_areas(radius)[i] == len(rows)
        np.testing.assert_allclose(
            segmented.region_centroids(radius)[i], [rows.mean(), columns.mean()]
        )
        box = [rows.min(), columns.min(), rows.max() + 1, columns.max() + 1]
        np.testing.assert_array_equal(segmented.region_boxes(radius)[i], box)


def test_count_is_a_histogram_per_superpixel(segmented):
    """It equals numpy's histogram of the superpixel's own codes."""
    codes = np.random.default_rng(0).integers(0, 5, segmented.shape)
    counts = segmented.count(codes, 5)
    own = codes[segmented.segments == 3]
    np.testing.assert_array_equal(counts[3], np.bincount(own, minlength=5))
    np.testing.assert_array_equal(counts.sum(axis=1), segmented.areas)


def test_geometry_of_a_photograph_is_the_papers():
    """Section 4.1: 21x21 pixels, proximal about 100x100, distant about 170x170."""
    from skimage.data import astronaut

    (segmented,) = SuperpixelSegmenter().transform([astronaut()[:375, :500]])
    size = np.sqrt(segmented.areas).mean()
    proximal = np.sqrt(segmented.region_areas(2)).mean()
    boxes = segmented.region_boxes(3)
    distant = (boxes[:, 2:] - boxes[:, :2]).mean(axis=0)
    assert 400 <= segmented.n_segments <= 520
    assert 18 <= size <= 22
    assert 80 <= proximal <= 95
    assert np.all((distant >= 140) & (distant <= 175))


def test_pickle_drops_shared_results_and_keeps_the_geometry(segmented):
    """What can be computed again is not stored."""
    segmented.shared.get("counts", lambda: np.ones(9))
    copy = pickle.loads(pickle.dumps(segmented))
    assert len(copy.shared) == 0
    np.testing.assert_array_equal(copy.boxes, segmented.boxes)


@pytest.mark.parametrize("shape", [(1, 1), (1, 9), (9, 1)])
def test_thin_images_have_regions(shape):
    """A single superpixel, or a row of them, is a graph like any other."""
    segments = np.arange(shape[0] * shape[1]).reshape(shape)
    segmented = SegmentedImage(np.zeros((*shape, 3)), segments)
    assert segmented.region_areas(2).max() == min(5, segments.size)
    assert segmented.region_boxes(3).shape == (segments.size, 4)


def test_a_label_map_of_another_shape_is_refused():
    """The error gives both shapes; labels must be integers."""
    with pytest.raises(ValueError, match=r"segments.*\(4, 4\).*\(4, 5\)"):
        SegmentedImage(np.zeros((4, 4, 3)), np.zeros((4, 5), int))
    with pytest.raises(ValueError, match=r"segments.*integer.*float64"):
        SegmentedImage(np.zeros((4, 4, 3)), np.zeros((4, 4)))


@pytest.mark.parametrize("value", [np.nan, np.inf, -0.5, 255.0])
def test_values_that_no_image_has_are_refused(value):
    """They would become features; where there are no data they do not matter."""
    image, segments = np.zeros((2, 3, 3)), np.array([[0, 0, 1], [0, 1, 1]])
    image[1, 2, 0] = value
    with pytest.raises(ValueError, match="image: expected"):
        SegmentedImage(image, segments)
    assert SegmentedImage(image, segments, image[..., 0] == 0).n_segments == 3
