"""Majority labels of superpixels and codes of labels."""

import numpy as np
import pytest

from sklearn_zoomout import SegmentedImage
from sklearn_zoomout.labels import (
    encode_labels,
    majority_votes,
    superpixel_labels,
)
from sklearn_zoomout.masks import distinct_labels


def segmented(segments):
    segments = np.asarray(segments)
    return SegmentedImage(np.zeros((*segments.shape, 3), np.float32), segments)


def test_majority_wins():
    """A superpixel gets the label that most of its pixels have."""
    image = segmented([[0, 0, 0, 1, 1, 1]])
    assert superpixel_labels(image, [[5, 2, 5, 2, 2, 5]]).tolist() == [5, 2]


def test_tie_goes_to_the_smaller_class():
    """Two labels with as many pixels each: the smaller one."""
    image = segmented([[0, 0, 1, 1, 1, 1]])
    assert superpixel_labels(image, [[9, 3, 8, 4, 4, 8]]).tolist() == [3, 4]


def test_unlabeled_pixels_do_not_vote():
    """One labeled pixel outvotes any number of unlabeled ones."""
    image = segmented([[0, 0, 0, 0]])
    assert superpixel_labels(image, [[-1, -1, 6, -1]]).tolist() == [6]


def test_superpixel_without_label_is_unlabeled():
    """A superpixel of unlabeled pixels alone gets -1."""
    image = segmented([[0, 0, 1, 1]])
    labels = superpixel_labels(image, [[-1, -1, 7, 7]])
    assert labels.tolist() == [-1, 7]


def test_mask_without_labels():
    """A mask without any label gives -1 everywhere."""
    image = segmented([[0, 0, 1, 1]])
    assert superpixel_labels(image, [[-1, -1, -1, -1]]).tolist() == [-1, -1]


def test_classes_restrict_the_labels():
    """A label that is none of the classes is an error that says what to do."""
    image = segmented([[0, 0, 0]])
    with pytest.raises(
        ValueError, match=r"classes \[1, 2\], got \[255\].*mark_unlabeled"
    ):
        superpixel_labels(image, [[1, 2, 255]], classes=[1, 2])


def test_other_shape_is_refused():
    """The mask must have its image's shape."""
    with pytest.raises(ValueError, match=r"expected shape \(1, 3\)"):
        superpixel_labels(segmented([[0, 0, 0]]), [[1, 2]])


def test_ceiling_agrees_with_a_loop(superpixels, masks):
    """The vectorised votes are those of a loop over the superpixels."""
    for image, mask in zip(superpixels, masks, strict=True):
        expected = [
            np.bincount(mask[image.segments == i]).argmax()
            for i in range(image.n_segments)
        ]
        assert superpixel_labels(image, mask).tolist() == expected


def test_no_votes():
    """Without a voting pixel the code is -1."""
    votes = majority_votes(segmented([[0, 1]]), np.array([[-1, 2]]), 3)
    assert votes.tolist() == [-1, 2]


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.int64, np.uint64, bool])
def test_encode_takes_every_integer_dtype(dtype):
    """Codes do not depend on the dtype of the mask."""
    mask = np.array([[1, 0, 1]], dtype=dtype)
    assert encode_labels(mask, np.array([0, 1]), "m").tolist() == [[1, 0, 1]]


def test_encode_large_labels():
    """Labels too large for a lookup table are encoded all the same."""
    classes = np.array([3, 10**9, 10**12])
    mask = np.array([[10**12, 3, -1, 10**9]])
    assert encode_labels(mask, classes, "m").tolist() == [[2, 0, -1, 1]]


@pytest.mark.parametrize("large", [20, 10**9])
def test_distinct_labels(large):
    """They are sorted, and -1 is left out."""
    mask = np.array([[large, 3, -1, 3]])
    assert distinct_labels(mask).tolist() == [3, large]
