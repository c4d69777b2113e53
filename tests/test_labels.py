"""Majority labels of superpixels and codes of labels."""

import numpy as np
import pytest

from sklearn_zoomout import SegmentedImage, Superpixels
from sklearn_zoomout.exceptions import EmptyMaskWarning
from sklearn_zoomout.labels import (
    check_classes,
    check_known_labels,
    check_present,
    count_votes,
    encode_labels,
    label_rows,
    majority_votes,
    superpixel_labels,
)
from sklearn_zoomout.masks import distinct_labels
from sklearn_zoomout.masks._labels import count_labels, in_small_type, is_small
from sklearn_zoomout.masks._present import PresentLabels


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


def two_images():
    """Superpixels of two images: three of 2, 3 and 1 pixels, and two of 2 and 4."""
    labels = [[[0, 0, 1, 1, 1, 2]], [[0, 0, 1, 1, 1, 1]]]
    return Superpixels([segmented(x) for x in labels])


def test_rows_are_labeled_in_order_and_those_without_a_vote_left_out():
    """Their codes count among the labels of all masks, and they know their image."""
    masks = [np.array([[7, 7, 9, 9, 7, -1]]), np.array([[3, 9, 9, 9, 9, 3]])]
    found = label_rows(two_images(), masks)
    assert found.classes.tolist() == [3, 7, 9]
    assert found.rows.tolist() == [0, 1, 3, 4]
    assert found.codes.tolist() == [1, 2, 0, 2]
    assert found.images.tolist() == [0, 0, 1, 1]
    # 3 has 1 of its 2 pixels in its superpixel, 7 has 2 of 3, and 9 has 5 of 6.
    np.testing.assert_allclose(found.kept, [1 / 2, 2 / 3, 5 / 6])
    np.testing.assert_allclose(found.frequency(), [0.25, 0.25, 0.5])


def test_rows_of_some_images_keep_the_classes():
    """And the shares of pixels, which are those of all images."""
    masks = [np.array([[7, 7, 9, 9, 7, -1]]), np.array([[3, 9, 9, 9, 9, 3]])]
    found = label_rows(two_images(), masks)
    part = found.of_images(np.array([1]))
    assert part.rows.tolist() == [3, 4]
    assert part.codes.tolist() == [0, 2]
    assert part.images.tolist() == [1, 1]
    assert part.classes is found.classes
    assert part.kept is found.kept
    np.testing.assert_allclose(part.frequency(), [0.5, 0, 0.5])


def test_declared_classes_give_the_codes():
    """A class without a pixel has lost none."""
    masks = [np.array([[7, 7, 9, 9, 9, 9]]), np.array([[7, 7, 9, 9, 9, 9]])]
    found = label_rows(two_images(), masks, np.array([1, 7, 9]))
    assert found.classes.tolist() == [1, 7, 9]
    assert found.codes.tolist() == [1, 2, 2, 1, 2]
    assert found.kept.tolist() == [1, 1, 1]
    with pytest.raises(ValueError, match=r"^masks\[1\]: .*\[7\], got \[9\]"):
        label_rows(two_images(), [masks[0] * 0 + 7, masks[1]], np.array([7]))


def test_masks_without_labels_are_named_and_left_out():
    """Unless none has any."""
    masks = [np.full((1, 6), -1), np.array([[7, 7, 9, 9, 9, 9]])]
    with pytest.warns(EmptyMaskWarning, match=r"^masks\[0\]: all pixels are -1"):
        found = label_rows(two_images(), masks)
    assert found.rows.tolist() == [3, 4]
    with pytest.raises(ValueError, match="got none in 2 masks"):
        label_rows(two_images(), [masks[0]] * 2)


def present(*masks):
    """The labels of masks."""
    masks = [np.array(mask) for mask in masks]
    return PresentLabels.find(masks, [None] * len(masks))


def test_labels_alone_tell_which_declared_classes_occur():
    """As the masks would, before there are superpixels."""
    labels = present([[7, -1]], [[3, 7]])
    classes, occur = check_present(labels, None)
    assert (classes.tolist(), occur.tolist()) == ([3, 7], [True, True])
    classes, occur = check_present(labels, [9, 7, 3])
    assert (classes.tolist(), occur.tolist()) == ([3, 7, 9], [True, True, False])
    with pytest.raises(ValueError, match=r"^masks\[1\]: .*\[7, 9\], got \[3\]"):
        check_present(labels, [7, 9])
    with pytest.raises(ValueError, match="got none in 1 masks"):
        check_present(present([[-1]]), [7, 9])
    with pytest.raises(TypeError, match="^masks: expected a label map"):
        check_present(None, [7, 9])


def test_labels_that_were_not_in_fit_are_refused():
    """The error names the first mask that has one; nested lists are masks too."""
    check_known_labels([[[1, -1]], [[2]]], [1, 2])
    check_known_labels([[[5]]], None)
    with pytest.raises(ValueError, match=r"^masks\[1\]: labels \[5\].* \[1, 2\]; if"):
        check_known_labels([[[1, 2]], [[5, 1]], [[6]]], [1, 2])


def test_declared_classes_are_sorted():
    """They are two distinct labels at least, and -1 is none."""
    assert check_classes(None) is None
    found = check_classes(np.array([9, 0], dtype=np.uint8))
    assert (found.tolist(), found.dtype) == ([0, 9], np.int64)
    for wrong in ([3], [], [3, 3, 5], [-1, 3], [[0, 1]], [0.0, 1.0], [True, False]):
        with pytest.raises(ValueError, match="^classes: expected"):
            check_classes(wrong)


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.uint16, np.int32, np.int64])
def test_votes_are_pixels_of_each_class(dtype):
    """Those of -1 are of none, in any type that has it."""
    unlabeled = -1 if np.issubdtype(dtype, np.signedinteger) else 0
    codes = np.array([[0, 2, 2, 1, unlabeled, unlabeled]], dtype=dtype)
    votes = count_votes(segmented([[0, 0, 0, 1, 1, 1]]), codes, 3)
    expected = [[1, 0, 2], [0, 1, 0]]
    expected[1][0] = 0 if unlabeled else 2
    assert votes.tolist() == expected


def test_codes_of_negative_and_of_few_labels():
    """-1 is no label, nor is anything in a mask of -1 alone."""
    assert encode_labels(np.array([-1, -1]), np.array([0, 1]), "m").tolist() == [-1] * 2
    assert encode_labels(np.array([], int), np.array([0, 1]), "m").tolist() == []
    codes = encode_labels(np.array([-1, 65535, 4]), np.array([4, 65535]), "m")
    assert (codes.tolist(), codes.dtype) == ([-1, 1, 0], np.intp)
    with pytest.raises(ValueError, match=r"^m: .*\[1, 2\], got \[0, 3\]; "):
        encode_labels(np.array([0, 1, 3]), np.array([1, 2]), "m")


LABELS = [
    [5, 5, 2],
    [-1, 2, -1],
    [-1, -1],
    [0],
    [],
    [65535, 3, 3],
    [65536, 3],
    [10**12, 0],
    [-65535, 7],
    [-65536, 7],
]


@pytest.mark.parametrize("labels", LABELS)
def test_labels_and_their_pixels_are_those_of_numpy(labels):
    """Whether a table of all values would be small or large."""
    mask = np.array(labels, dtype=np.int64)
    values, counts = count_labels(mask)
    expected = np.unique(mask, return_counts=True)
    assert values.tolist() == expected[0].tolist()
    assert counts.tolist() == expected[1].tolist()
    assert distinct_labels(mask).tolist() == [v for v in values.tolist() if v != -1]
    assert values.dtype == distinct_labels(mask).dtype == np.int64
    if labels:
        assert is_small(mask) == (max(map(abs, labels)) < 65536)


@pytest.mark.parametrize(
    ("largest", "dtype"),
    [(255, "u1"), (256, "u2"), (65535, "u2"), (65536, "i8"), (10**12, "i8")],
)
def test_pictures_have_the_smallest_type(largest, dtype):
    """Of 8 or 16 bits; no picture has larger labels."""
    classes = np.array([0, largest])
    small = in_small_type(classes)
    assert small.dtype == dtype
    assert small.tolist() == classes.tolist()
    assert in_small_type(np.array([], dtype=np.int64)).dtype == np.uint8
