"""Removal of islands."""

import numpy as np
import pytest
from sklearn.dummy import DummyClassifier
from sklearn.linear_model import LinearRegression
from sklearn.tree import DecisionTreeClassifier

from sklearn_zoomout import FeatureTable, IslandRemoval, SegmentedImage
from sklearn_zoomout.exceptions import FewIslandsWarning
from sklearn_zoomout.postprocessing._islands import describe_islands, find_islands
from sklearn_zoomout.table import Block


def on_grid(codes):
    """Return an image whose pixels are superpixels, and their codes."""
    codes = np.asarray(codes)
    segments = np.arange(codes.size).reshape(codes.shape)
    return SegmentedImage(np.zeros((*codes.shape, 3)), segments), codes.ravel()


def islands_on(codes):
    """Return (members, own, around) of every island, to compare with."""
    members, own, around = find_islands(*on_grid(codes))
    return [
        (np.flatnonzero(row).tolist(), int(a), int(b))
        for row, a, b in zip(members.toarray(), own, around, strict=True)
    ]


def test_island_has_one_label_around_it():
    """One inside another class is an island; one that two classes touch is none."""
    codes = [
        [0, 0, 0, 0, 0],
        [0, 2, 2, 0, 0],
        [0, 0, 0, 1, 1],
        [0, 0, 0, 2, 1],
    ]
    assert islands_on(codes) == [([6, 7], 2, 0)]


def test_island_at_the_border_counts():
    """The border of the image is no neighbor."""
    assert islands_on([[0, 0, 0], [0, 0, 1]]) == [([5], 1, 0)]


def test_of_two_regions_the_smaller_is_the_island():
    """So that two neighbors never change places."""
    assert islands_on([[0, 0, 0, 1]]) == [([3], 1, 0)]
    assert islands_on([[0, 0, 1, 1]]) == []
    assert islands_on([[0, 0, 1, 1, 0]]) == [([4], 0, 1)]


def test_regions_touching_at_corners_are_apart():
    """Two islands of the same class are judged one by one."""
    codes = [[0, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 0]]
    assert islands_on(codes) == [([5], 1, 0), ([10], 1, 0)]


@pytest.mark.parametrize("codes", [[[3]], [[1, 1], [1, 1]]])
def test_image_of_one_class_has_no_island(codes):
    """Nothing is around the one region."""
    assert islands_on(codes) == []
    segmented, flat = on_grid(codes)
    proba = np.ones((len(flat), 4), np.float32)
    found = describe_islands(segmented, proba, find_islands(segmented, flat))
    assert found.shape == (0, 9)


def test_description_of_an_island():
    """Each number is what the docstring says."""
    segments = np.array([[0, 0, 0, 1, 2, 3, 3, 3]])
    image = np.zeros((1, 8, 3))
    image[0, 3:5] = 1  # white, L = 100, between black
    segmented = SegmentedImage(image, segments)
    proba = np.array([[0.9, 0.1], [0.2, 0.8], [0.4, 0.6], [0.7, 0.3]], np.float32)
    islands = find_islands(segmented, proba.argmax(axis=1))
    (row,) = describe_islands(segmented, proba, islands)
    ring = np.array([0.9 + 0.7, 0.1 + 0.3]) / 2
    expected = [np.log(2 / 8), np.log(2), 1, 0.7, 0.3, ring[1], ring[0], 0.8, 100]
    np.testing.assert_allclose(row, expected, rtol=1e-5)
    inside = on_grid([[0, 0, 0], [0, 1, 0], [0, 0, 0]])
    proba = np.eye(2, dtype=np.float32)[inside[1]]
    assert describe_islands(inside[0], proba, find_islands(*inside))[0, 2] == 0


def test_mistakes_are_flipped_and_objects_kept(classifier, data, new_data):
    """It learns that the certain islands are objects and the others mistakes."""
    table, masks = new_data
    model = IslandRemoval(classifier).fit(*data)
    assert 0 < model.n_to_flip_ < model.n_islands_
    before = model.estimator_.predict(table)
    after = model.predict(table)
    for mask, old, new in zip(masks, before, after, strict=True):
        assert (new[mask == 25] == 25).all()
        assert (new[mask != -1] == 25).sum() < (old[mask != -1] == 25).sum()
        assert (old[old != new] == 25).all()


def test_only_flipped_islands_change(classifier, data, new_data):
    """The two probabilities of their superpixels change places, all others stay."""
    table, _ = new_data
    model = IslandRemoval(classifier).fit(*data)
    before = model.estimator_.predict_superpixel_proba(table)
    after = model.predict_superpixel_proba(table)
    changed = (before != after).any(axis=1)
    assert 0 < changed.sum() < 40
    np.testing.assert_allclose(np.sort(after), np.sort(before), rtol=1e-6)
    assert (after.argmax(axis=1) != before.argmax(axis=1))[changed].all()


def test_tie_of_probabilities_is_flipped(classifier, data):
    """The label changes also where both classes were equally likely."""
    model = IslandRemoval(classifier)
    model.island_classifier_ = DummyClassifier(strategy="constant", constant=True)
    model.island_classifier_.fit(np.zeros((1, 9)), [True])
    segmented, _ = on_grid([[0, 0, 0, 0, 0]])
    proba = np.array([[0, 1], [0, 1], [0.5, 0.5], [0, 1], [0, 1]], np.float32)
    changed = model._change(segmented, proba)
    np.testing.assert_array_equal(changed.argmax(axis=1), 1)
    certain = np.array([[0, 1], [0, 1], [1, 0], [0, 1], [0, 1]], np.float32)
    np.testing.assert_array_equal(model._change(segmented, certain), [[0, 1]] * 5)
    assert proba[2, 1] == 0.5  # the input is left alone


def test_without_islands_nothing_is_flipped(classifier, data):
    """A warning tells why, and predictions are those of the estimator."""
    table, _ = data
    halves = [np.where(s.segments % 14 < 7, 10, 20) for s in table.superpixels]
    left = np.tile(np.arange(14) < 7, 14 * len(table))
    values = np.stack([left, ~left, 0 * left], axis=1).astype(np.float32)
    quiet = FeatureTable(table.superpixels, [Block("a", ("x", "y", "z"), values)])
    with pytest.warns(FewIslandsWarning, match="0 islands.*kept"):
        model = IslandRemoval(classifier).fit(quiet, halves)
    assert (model.n_islands_, model.n_to_flip_) == (0, 0)
    for one, other in zip(
        model.predict(table), model.estimator_.predict(table), strict=True
    ):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize(("true", "says"), [(0, "flipped"), (1, "kept")])
def test_islands_of_one_decision_get_it(true, says):
    """Where every island was a mistake, all are flipped, with a warning, or none."""
    codes = np.zeros((3, 3), dtype=int)
    codes[1, 1] = 1
    segmented, codes = on_grid(codes)
    proba = np.array([[0.8, 0.2], [0.1, 0.9]], np.float32)[codes]
    counts = np.eye(2, dtype=int)[codes * true]
    model = IslandRemoval(None)
    with pytest.warns(FewIslandsWarning, match=f"1 islands.*will be {says}"):
        learned = model._learn([(segmented, proba, counts)], 2)
    vars(model).update(learned)
    changed = model._change(segmented, proba).argmax(axis=1)
    np.testing.assert_array_equal(changed, codes * true)


def test_own_island_classifier(classifier, data):
    """Any scikit-learn classifier decides; the one given is not changed."""
    tree = DecisionTreeClassifier(max_depth=2, random_state=0)
    model = IslandRemoval(classifier, island_classifier=tree).fit(*data)
    assert isinstance(model.island_classifier_, DecisionTreeClassifier)
    assert model.island_classifier_.n_features_in_ == 9
    assert not hasattr(tree, "tree_")
    with pytest.raises(ValueError, match="island_classifier"):
        IslandRemoval(classifier, island_classifier="tree").fit(*data)
    with pytest.raises(ValueError, match="expected a classifier, got LinearRegression"):
        IslandRemoval(classifier, island_classifier=LinearRegression()).fit(*data)
