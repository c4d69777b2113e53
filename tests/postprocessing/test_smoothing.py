"""Smoothing over the superpixel graph."""

import numpy as np
import pytest
from sklearn.base import clone

from sklearn_zoomout import GraphSmoothing, SegmentedImage
from sklearn_zoomout.descriptors._color import rgb_to_lab

SEGMENTS = np.array([[0, 0, 1, 2, 3]])
COLORS = np.array([[200, 10, 10], [190, 10, 10], [10, 10, 200], [200, 10, 10]])


def segmented_line():
    """Four superpixels in a line, the first of two pixels, the third of its own."""
    return SegmentedImage(COLORS[SEGMENTS].astype(np.uint8), SEGMENTS)


def test_layers_are_what_the_docstring_says():
    """The sparse products equal the formula, written as loops."""
    segmented = segmented_line()
    proba = np.array([[0.9, 0.1], [0.4, 0.6], [0.2, 0.8], [0.5, 0.5]], np.float32)
    lab = rgb_to_lab((COLORS / 255).astype(np.float32)[None])[0]
    areas, strength, bandwidth = [2, 1, 1, 1], 3.0, 6.0
    expected = proba.astype(float)
    for _ in range(2):
        q = expected.copy()
        for i in range(4):
            near = [j for j in range(4) if 0 < abs(i - j) <= 2]
            message = np.zeros(2)
            for j in near:
                like = np.exp(-((lab[i] - lab[j]) ** 2).sum() / (2 * bandwidth**2))
                message += areas[j] / sum(areas[k] for k in near) * like * q[j]
            odds = proba[i] * np.exp(strength * message)
            expected[i] = odds / odds.sum()
    model = GraphSmoothing(None, radius=2, n_layers=2)
    model.strength_, model.bandwidth_ = strength, bandwidth
    smoothed = model._change(segmented, proba)
    assert smoothed.dtype == np.float32
    np.testing.assert_allclose(smoothed, expected, rtol=1e-4)
    # The blue one has no like, so it keeps its mind; the orange one is persuaded.
    np.testing.assert_allclose(smoothed[2], proba[2], atol=1e-3)
    assert smoothed[1, 0] > 0.5


def test_image_of_one_superpixel_stays():
    """It has nothing around it."""
    one = SegmentedImage(np.zeros((2, 2, 3)), np.zeros((2, 2), dtype=int))
    model = GraphSmoothing(None)
    model.strength_, model.bandwidth_ = 16.0, 3.0
    proba = np.array([[0.3, 0.7]], np.float32)
    np.testing.assert_allclose(model._change(one, proba), proba, rtol=1e-6)


def test_probability_of_zero_can_be_overruled():
    """A vote of trees that all agree is no law."""
    plain = SegmentedImage(np.zeros((1, 5, 3)), np.arange(5)[None])
    proba = np.array([[1, 0], [1, 0], [0, 1], [1, 0], [1, 0]], np.float32)
    model = GraphSmoothing(None)
    model.strength_, model.bandwidth_ = 40.0, 5.0
    np.testing.assert_array_equal(model._change(plain, proba).argmax(axis=1), 0)


def test_chosen_candidate_has_the_best_out_of_fold_score(classifier, data):
    """scores_ are mean IoU of held-out images, and the best of them is chosen."""
    table, masks = data
    model = GraphSmoothing(classifier, strengths=[8, 0.5], bandwidths=[5, 2], cv=2)
    model.fit(table, masks)
    np.testing.assert_array_equal(model.strengths_, [0, 0.5, 8])
    assert model.scores_.shape == (2, 3)
    np.testing.assert_array_equal(model.scores_[0, 0], model.scores_[:, 0])
    best = model.scores_[
        [5, 2].index(model.bandwidth_), list(model.strengths_).index(model.strength_)
    ]
    assert best == model.scores_.max()
    # The made-up probabilities do not depend on the training images.
    np.testing.assert_allclose(best, model.score(table, masks))
    before = clone(classifier).fit(table, masks).score(table, masks)
    np.testing.assert_allclose(model.scores_[0, 0], before)


def test_nothing_changes_where_smoothing_does_not_help(classifier, data):
    """With truth that is as speckled as the predictions, strength 0 is chosen."""
    table, masks = data
    before = clone(classifier).fit(table, masks)
    speckled = list(before.predict(table))
    model = GraphSmoothing(classifier).fit(table, speckled)
    assert model.strength_ == 0
    assert model.score(table, speckled) == 1
    np.testing.assert_array_equal(
        model.predict_superpixel_proba(table), before.predict_superpixel_proba(table)
    )


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("strengths", [-1]),
        ("strengths", []),
        ("strengths", [np.nan]),
        ("strengths", ["a"]),
        ("strengths", [[1, 2]]),
        ("strengths", [[1], [2, 3]]),
        ("strengths", 3),
        ("bandwidths", [0]),
        ("bandwidths", [np.inf]),
        ("radius", 0),
        ("radius", True),
        ("n_layers", 0),
        ("n_layers", 1.5),
    ],
)
def test_bad_parameter_is_refused(name, value, classifier, data):
    """The error names the parameter and its value."""
    with pytest.raises(ValueError, match=name) as error:
        GraphSmoothing(classifier, **{name: value}).fit(*data)
    assert repr(value) in str(error.value)
