"""Patches are what the image shows in their boxes, and nothing beside."""

import numpy as np
import pytest

from sklearn_zoomout.descriptors._patches import cut_patches


@pytest.fixture
def ramp():
    """An image whose channels are its rows, its columns, and a constant."""
    rows, columns = np.mgrid[:60, :80].astype(np.float32)
    return np.stack([rows, columns, np.full_like(rows, 7)], axis=2)


def test_box_of_the_size_of_the_patch_is_copied(ramp):
    """Where nothing is to be resized, the pixels are kept, channels first."""
    (patch,) = cut_patches(ramp, np.array([[10, 20, 35, 45]]))
    np.testing.assert_array_equal(patch, np.moveaxis(ramp[10:35, 20:45], 2, 0))


@pytest.mark.parametrize("box", [(3, 4, 53, 79), (20, 30, 27, 41), (1, 0, 60, 9)])
def test_resizing_keeps_the_mean_and_the_range_of_the_box(ramp, box):
    """Enlarged, shrunk, or both, a patch shows its box alone."""
    top, left, bottom, right = box
    (patch,) = cut_patches(ramp, np.array([box]))
    inside = ramp[top:bottom, left:right]
    np.testing.assert_allclose(
        patch.mean(axis=(1, 2)), inside.mean(axis=(0, 1)), rtol=1e-4
    )
    assert np.all(patch.min(axis=(1, 2)) >= inside.min(axis=(0, 1)))
    assert np.all(patch.max(axis=(1, 2)) <= inside.max(axis=(0, 1)))


def test_shrinking_averages():
    """Fine stripes become gray, where sampling would keep some and lose others."""
    stripes = np.zeros((100, 100, 3), dtype=np.float32)
    stripes[::2] = 1
    (patch,) = cut_patches(stripes, np.array([[0, 0, 100, 100]]))
    np.testing.assert_allclose(patch, 0.5)


def test_box_of_one_pixel_gives_its_color(ramp):
    """A superpixel can be a single pixel."""
    patches = cut_patches(ramp, np.array([[5, 6, 6, 7], [59, 79, 60, 80]]), size=3)
    for patch, color in zip(patches, [(5, 6, 7), (59, 79, 7)], strict=True):
        np.testing.assert_array_equal(patch, np.full((3, 3, 3), color).T)
