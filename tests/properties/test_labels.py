"""Properties of labels, votes, histograms and measures."""

import numpy as np
import pytest
import sklearn.metrics
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from sklearn_zoomout import SegmentedImage, mark_unlabeled, metrics
from sklearn_zoomout.descriptors._histograms import entropy, normalize
from sklearn_zoomout.labels import encode_labels, superpixel_labels
from sklearn_zoomout.masks import distinct_labels
from sklearn_zoomout.masks._runs import decode_coco, decode_runs

SHAPES = array_shapes(min_dims=2, max_dims=2, max_side=9)
MASKS = arrays(np.int64, SHAPES, elements=st.integers(-1, 5))
LARGE = st.one_of(st.integers(-1, 5), st.integers(0, 2**62))


@st.composite
def pairs(draw):
    """Draw true and predicted label maps, of which some pixel is labeled."""
    true = draw(MASKS)
    predicted = draw(arrays(np.int64, true.shape, elements=st.integers(0, 5)))
    assume((true >= 0).any())
    return true, predicted


@given(arrays(np.int64, SHAPES, elements=LARGE))
def test_codes_give_back_the_labels(mask):
    """Also labels of any size, and unlabeled pixels."""
    classes = distinct_labels(mask)
    codes = encode_labels(mask, classes, "mask")
    labeled = mask != -1
    np.testing.assert_array_equal(codes == -1, ~labeled)
    np.testing.assert_array_equal(classes[codes[labeled]], mask[labeled])


@given(MASKS, st.data())
def test_votes_are_those_of_a_loop(mask, data):
    """The most pixels win, ties go to the smaller class, and -1 has no vote."""
    segments = data.draw(arrays(np.int64, mask.shape, elements=st.integers(0, 4)))
    image = SegmentedImage(np.zeros((*mask.shape, 3), np.float32), segments)
    expected = []
    for label in range(image.n_segments):
        votes = mask[image.segments == label]
        votes = votes[votes >= 0]
        expected.append(np.bincount(votes).argmax() if len(votes) else -1)
    assert superpixel_labels(image, mask).tolist() == expected


@given(MASKS, st.permutations(range(6)), st.data())
def test_votes_without_ties_follow_other_numbers(mask, order, data):
    """Classes of other numbers win the same superpixels."""
    segments = data.draw(arrays(np.int64, mask.shape, elements=st.integers(0, 2)))
    image = SegmentedImage(np.zeros((*mask.shape, 3), np.float32), segments)
    for label in range(image.n_segments):
        votes = mask[image.segments == label]
        counts = np.sort(np.bincount(votes[votes >= 0], minlength=6))
        assume(counts[-1] > counts[-2] or counts[-1] == 0)
    table = np.array([*order, -1])
    found = superpixel_labels(image, table[mask])
    np.testing.assert_array_equal(found, table[superpixel_labels(image, mask)])


@given(arrays(np.uint8, SHAPES, elements=st.integers(0, 255)), st.integers(0, 255))
def test_marked_labels_are_unlabeled(mask, mark):
    """All others stay as they are."""
    (found,) = mark_unlabeled([mask], mark)
    np.testing.assert_array_equal(found == -1, mask == mark)
    np.testing.assert_array_equal(found[mask != mark], mask[mask != mark])


@given(MASKS)
def test_a_perfect_prediction_measures_one(mask):
    """By every measure."""
    assume((mask >= 0).any())
    predicted = np.maximum(mask, 0)
    for name in ("pixel_accuracy", "class_accuracy", "mean_iou"):
        assert getattr(metrics, name)([mask], [predicted]) == 1


@given(pairs())
def test_measures_are_those_of_scikit_learn(pair):
    """On the labeled pixels."""
    true, predicted = (labels[pair[0] >= 0] for labels in pair)
    y_true, y_pred = [pair[0]], [pair[1]]
    every = list(range(6))
    np.testing.assert_array_equal(
        metrics.confusion_matrix(y_true, y_pred, labels=every),
        sklearn.metrics.confusion_matrix(true, predicted, labels=every),
    )
    expected = sklearn.metrics.jaccard_score(
        true, predicted, labels=every, average=None, zero_division=0
    )
    found = metrics.iou_per_class(y_true, y_pred, labels=every)
    np.testing.assert_allclose(found[~np.isnan(found)], expected[~np.isnan(found)])
    np.testing.assert_array_equal(np.isfinite(found), np.isin(every, [true, predicted]))
    accuracy = pytest.approx((true == predicted).mean())
    assert metrics.pixel_accuracy(y_true, y_pred) == accuracy


@given(pairs(), st.permutations(range(6)))
def test_measures_do_not_depend_on_the_numbers_of_classes(pair, order):
    """Nor on the order of pixels, or on how they are cut into images."""
    table = np.array([*order, -1])
    renumbered = [table[labels] for labels in pair]
    rows = [[labels[i : i + 1] for i in range(len(labels))] for labels in pair]
    flipped = [labels[::-1, ::-1] for labels in pair]
    for name in ("pixel_accuracy", "class_accuracy", "mean_iou"):
        measure = getattr(metrics, name)
        expected = pytest.approx(measure(*([labels] for labels in pair)))
        assert measure(*([labels] for labels in renumbered)) == expected
        assert measure(*([labels] for labels in flipped)) == expected
        if (pair[0] >= 0).any(axis=1).all():
            assert measure(*rows) == expected


@given(pairs())
def test_counts_sum_to_the_labeled_pixels(pair):
    """Rows are true classes."""
    counts = metrics.confusion_matrix([pair[0]], [pair[1]], labels=range(6))
    np.testing.assert_array_equal(
        counts.sum(axis=1), np.bincount(pair[0][pair[0] >= 0], minlength=6)
    )


@given(arrays(np.int64, array_shapes(max_dims=3), elements=st.integers(0, 10**6)))
def test_histograms_sum_to_one(counts):
    """Or to zero where nothing was counted; their entropy has its bounds."""
    histograms = normalize(counts)
    expected = (counts.sum(axis=-1) > 0).astype(float)
    np.testing.assert_allclose(histograms.sum(axis=-1), expected, atol=1e-5)
    found = entropy(histograms)
    assert (found >= -1e-6).all()
    assert (found <= np.log(counts.shape[-1]) + 1e-5).all()


def encode_runs(pixels):
    """Return the lengths of the runs outside and inside in turn."""
    ends = np.flatnonzero(np.diff(pixels.astype(int), prepend=0, append=2))
    return np.diff(ends, prepend=0).tolist()


def encode_coco(runs):
    """Pack run lengths as COCO does."""
    text = ""
    for i, run in enumerate(runs):
        number = run - (runs[i - 2] if i > 2 else 0)
        while True:
            bits, number = number & 31, number >> 5
            goes_on = number != (-1 if bits & 16 else 0)
            text += chr(48 + bits + 32 * goes_on)
            if not goes_on:
                break
    return text


@given(arrays(bool, st.integers(0, 200)))
def test_runs_give_back_the_pixels(pixels):
    """Also packed as COCO packs them."""
    runs = encode_runs(pixels)
    np.testing.assert_array_equal(decode_runs(runs, len(pixels)), pixels)
    assert decode_coco(encode_coco(runs)) == runs


@given(st.lists(st.integers(-5, 2**63 - 1), max_size=6), st.integers(0, 100))
def test_runs_of_another_sum_are_refused(runs, n_pixels):
    """Whatever their lengths are."""
    if sum(runs) == n_pixels and min(runs, default=0) >= 0:
        assert len(decode_runs(runs, n_pixels)) == n_pixels
    else:
        with pytest.raises(ValueError, match=f"run lengths of {n_pixels} pixels"):
            decode_runs(runs, n_pixels)
