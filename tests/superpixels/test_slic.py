"""SLIC superpixels."""

import numpy as np
import pytest
from skimage.measure import label
from skimage.segmentation import slic as slic_of_skimage

from sklearn_zoomout.datasets import make_scenes
from sklearn_zoomout.descriptors._color import rgb_to_lab
from sklearn_zoomout.superpixels._slic import (
    _connect,
    _find_centers,
    _nearby_cells,
    _nearest,
    slic,
)


def ceiling(masks, maps):
    """Share of pixels that the best label of every superpixel gets right."""
    right = total = 0
    for mask, segments in zip(masks, maps, strict=True):
        counts = np.zeros((segments.max() + 1, mask.max() + 1), dtype=int)
        np.add.at(counts, (segments, mask), 1)
        right, total = right + counts.max(axis=1).sum(), total + mask.size
    return right / total


@pytest.mark.parametrize("shape", [(97, 131), (40, 300), (1, 50), (50, 1), (2, 2)])
@pytest.mark.parametrize("n_segments", [1, 2, 37])
def test_labels_are_numbered_and_connected(shape, n_segments):
    """All of 0 to n - 1 occur, about as many as asked for, each in one piece."""
    rng = np.random.default_rng(0)
    n_segments = min(n_segments, shape[0] * shape[1])
    lab = np.cumsum(rng.normal(0, 1, (*shape, 3)), axis=1).astype(np.float32)
    segments = slic(lab, n_segments, compactness=15)
    assert segments.shape == shape
    n_found = segments.max() + 1
    np.testing.assert_array_equal(np.unique(segments), np.arange(n_found))
    assert label(segments, background=-1, connectivity=1).max() == n_found
    assert n_segments / 2 <= n_found <= 2 * n_segments


def test_superpixels_hold_to_boundaries_as_well_as_those_of_skimage():
    """Of no more superpixels, the best labels get as many pixels right."""
    images, masks = make_scenes(n_images=10, random_state=0)
    theirs = [slic_of_skimage(image, 150, 15, start_label=0) for image in images]
    ours = [
        slic(rgb_to_lab(image.astype(np.float32) / 255), 140, 15) for image in images
    ]
    n_ours, n_theirs = (sum(s.max() + 1 for s in maps) for maps in (ours, theirs))
    assert n_ours <= n_theirs
    assert ceiling(masks, ours) >= ceiling(masks, theirs) - 0.002


def test_nearest_centers_are_those_of_a_plain_search():
    """The product of matrices compares each pixel with the centers of nine cells."""
    rng = np.random.default_rng(0)
    near = _nearby_cells(3, 4)
    pixels = rng.normal(size=(12, 6, 20)).astype(np.float32)
    pixels[:, 5] = 1
    centers = _find_centers(pixels, near)
    centers[5] = 0  # a center that has lost all its pixels
    labels = _nearest(pixels, centers, near)
    means = centers[:, :5] / np.maximum(centers[:, 5:], 1)
    for cell in range(12):
        row, column = divmod(cell, 4)
        around = [
            r * 4 + c
            for r in range(max(row - 1, 0), min(row + 2, 3))
            for c in range(max(column - 1, 0), min(column + 2, 4))
            if r * 4 + c != 5
        ]
        assert set(near[cell]) - {5} == set(around) - {5}
        for i in range(20):
            squares = ((means[around] - pixels[cell, :5, i]) ** 2).sum(axis=1)
            assert labels[cell, i] == around[squares.argmin()]


@pytest.mark.parametrize("smallest", [1, 4, 30])
def test_small_parts_join_a_neighbor_that_stays(smallest):
    """Parts of enough pixels, and the largest of each label, keep theirs."""
    segments = np.random.default_rng(0).integers(0, 6, (20, 25)).astype(np.int32)
    parts = label(segments, background=-1, connectivity=1)
    joined = _connect(segments, smallest)
    areas = np.bincount(parts.ravel())
    for value in range(6):
        own = np.unique(parts[segments == value])
        stay = own[areas[own] >= smallest].tolist()
        stay = stay or [own[areas[own].argmax()]]
        for part in stay:
            # It has one number, and whatever else has it is connected with it.
            (number,) = np.unique(joined[parts == part])
            assert label(joined == number, connectivity=1).max() == 1
    n_stay = sum(
        max(1, (areas[np.unique(parts[segments == v])] >= smallest).sum())
        for v in range(6)
    )
    np.testing.assert_array_equal(np.unique(joined), np.arange(n_stay))


@pytest.mark.parametrize("deviation", [10, 40])
def test_noise_does_not_make_superpixels_merge_or_fall_apart(deviation):
    """Where no two neighboring pixels are alike, cells decide."""
    noise = np.random.default_rng(0).normal(50, deviation, (120, 160, 3))
    segments = slic(noise.astype(np.float32), 300, compactness=15)
    assert 200 <= segments.max() + 1 <= 400
    assert np.bincount(segments.ravel()).max() < 10 * segments.size / 300


def test_compactness_makes_squares():
    """Color counts for nothing at last, and then all cells stay as they were."""
    lab = np.random.default_rng(0).normal(50, 20, (60, 80, 3)).astype(np.float32)
    segments = slic(lab, 48, compactness=1e4)
    areas = np.bincount(segments.ravel())
    assert len(areas) == 48
    # A center may be half a pixel off, being the mean of a sample of its pixels.
    assert areas.min() >= 9**2 and areas.max() <= 11**2


def test_a_region_of_its_own_color_is_cut_out_exactly():
    """Where colors are far apart, boundaries between them are kept to the pixel."""
    rows, columns = np.indices((90, 120))
    inside = (rows - 45) ** 2 + (columns - 60) ** 2 < 30**2
    lab = np.where(inside[..., None], (70, 40, 0), (20, -10, 30)).astype(np.float32)
    segments = slic(lab, 100, compactness=5)
    assert not set(segments[inside]) & set(segments[~inside])
