"""Labels of superpixels, classes and their weights in the classifier."""

import numpy as np
import pytest
from labeled_tables import LABELS, make_classifier, make_data
from sklearn.base import clone
from sklearn.model_selection import cross_validate

from sklearn_zoomout.exceptions import AbsentClassWarning, EmptyMaskWarning
from sklearn_zoomout.metrics import mean_iou_scorer


def test_unlabeled_pixels_take_no_part(data):
    """They neither vote nor count; superpixels without a label are dropped."""
    table, masks = data
    partly = [m.copy() for m in masks]
    for mask in partly:
        mask[:3, :3] = -1  # the first superpixel, of class 10
        mask[3, :2] = -1  # two pixels of another
    classifier = make_classifier().fit(table, partly)
    assert classifier.classes_.tolist() == [10, 20, 255]
    n_rows = table.n_rows - len(table)
    share = sum((m[1::3, 1::3] == 10).sum() for m in partly) / n_rows
    assert classifier.class_frequency_[0] == pytest.approx(share)
    assert classifier.score(table, partly) > 0.95


def test_mask_without_labels_is_skipped(data):
    """An image without a labeled pixel is left out with a warning."""
    table, masks = data
    masks = [*masks[:-1], np.full_like(masks[-1], -1)]
    with pytest.warns(EmptyMaskWarning, match=r"masks\[5\]"):
        classifier = make_classifier().fit(table, masks)
    without = make_classifier().fit(table[:5], masks[:5])
    np.testing.assert_array_equal(classifier.class_frequency_, without.class_frequency_)
    np.testing.assert_array_equal(classifier.mean_, without.mean_)


def test_no_mask_with_labels(data):
    """Nothing to learn from is an error."""
    table, masks = data
    with pytest.raises(ValueError, match="got none in 6 masks"):
        make_classifier().fit(table, [np.full_like(m, -1) for m in masks])


@pytest.mark.parametrize("classes", [None, [10, 20]])
def test_one_class_only(data, classes):
    """One class cannot be told from others."""
    table, masks = data
    with pytest.raises(ValueError, match="at least two classes .* got only class 10"):
        make_classifier(classes=classes).fit(
            table, [np.full_like(m, 10) for m in masks]
        )


def test_absent_declared_class(data):
    """A declared class without a superpixel gets weight 0, a column and a warning."""
    table, masks = data
    with pytest.warns(AbsentClassWarning, match=r"classes \[5\]"):
        classifier = make_classifier(classes=[255, 5, 10, 20]).fit(table, masks)
    assert classifier.classes_.tolist() == [5, 10, 20, 255]
    assert classifier.class_frequency_[0] == 0
    assert classifier.net_.criterion_.weight.tolist()[0] == 0
    assert classifier.predict_superpixel_proba(table).shape[1] == 4
    assert classifier.score(table, masks) > 0.95


def test_class_absent_from_a_fold(data):
    """With classes= a fold without one class can be trained on and scored."""
    table, masks = data
    rare = [np.where(m == 255, 20, m) for m in masks[:5]] + masks[5:]
    folds = [(np.arange(5), np.array([5])), (np.arange(1, 6), np.array([0]))]
    model = make_classifier(classes=LABELS)
    with pytest.warns(AbsentClassWarning):
        scores = cross_validate(model, table, rare, cv=folds, error_score="raise")
    assert np.isfinite(scores["test_score"]).all()


def test_label_unseen_in_fit(data):
    """At score time a new label is an error with a hint, unless it was declared."""
    table, masks = data
    known = [np.where(m == 255, 20, m) for m in masks]
    classifier = make_classifier(max_epochs=1).fit(table, known)
    with pytest.raises(ValueError, match=r"masks\[0\]: labels \[255\] did not occur"):
        classifier.score(table, masks)
    with pytest.raises(ValueError, match=r"masks\[0\]: labels \[255\] did not occur"):
        mean_iou_scorer(classifier, table, masks)
    with pytest.warns(AbsentClassWarning):
        declared = clone(classifier).set_params(classes=LABELS).fit(table, known)
    assert 0 <= declared.score(table, masks) <= 1


def test_label_outside_declared_classes(data):
    """A label that was not declared is refused, naming the mask."""
    with pytest.raises(
        ValueError, match=r"masks\[0\]: .*classes \[10, 20\], got \[255\]"
    ):
        make_classifier(classes=[10, 20]).fit(*data)


@pytest.mark.parametrize("classes", [[10], [10, 10, 20], [[1, 2]], [0.5, 1], [-1, 10]])
def test_wrong_classes(data, classes):
    """classes must be distinct integer labels, two at least."""
    with pytest.raises(ValueError, match="classes: expected"):
        make_classifier(classes=classes).fit(*data)


def test_masks_that_do_not_fit(data):
    """Another number or shape of masks is refused before any work."""
    table, masks = data
    with pytest.raises(ValueError, match="5 masks for 6 images"):
        make_classifier().fit(table, masks[:5])
    with pytest.raises(ValueError, match=r"masks\[2\]: expected shape"):
        make_classifier().fit(table, [*masks[:2], masks[2][:-1], *masks[3:]])


def test_every_mask_is_read_once(data):
    """Masks may be in files: fit asks for each of them once."""
    table, masks = data
    read = []

    class Masks:
        def __len__(self):
            return len(masks)

        def __getitem__(self, i):
            if i >= len(masks):
                raise IndexError(i)
            read.append(i)
            return masks[i]

    make_classifier(max_epochs=1).fit(table, Masks())
    assert read == list(range(len(masks)))


def test_balanced_weights_are_inverse_frequencies(fitted):
    """class_weight="balanced" is 1/f of equation (2)."""
    np.testing.assert_allclose(
        fitted.net_.criterion_.weight.numpy(), 1 / fitted.class_frequency_, rtol=1e-6
    )


@pytest.mark.parametrize(
    ("class_weight", "expected"),
    [(None, [1, 1, 1]), ({10: 3, 255: 0.5}, [3, 1, 0.5])],
)
def test_other_weights(data, class_weight, expected):
    """None is the symmetric loss; a dict gives the weights, 1 where it has none."""
    classifier = make_classifier(class_weight=class_weight, max_epochs=1).fit(*data)
    assert classifier.net_.criterion_.weight.tolist() == expected


def test_a_number_lies_between_balanced_and_none(data, fitted):
    """It is an exponent of the frequency; 0 is None, and 1 is "balanced"."""
    for exponent in (0, 0.5, 1):
        model = make_classifier(class_weight=exponent, max_epochs=1).fit(*data)
        np.testing.assert_allclose(
            model.net_.criterion_.weight.numpy(),
            fitted.class_frequency_**-exponent,
            rtol=1e-6,
        )


def test_balanced_favors_the_rare_class():
    """On features that overlap, it finds more of the rare class than None does."""
    table, masks = make_data(noise=4.0, n_images=20)
    recall = {}
    for weight in ("balanced", None):
        model = make_classifier(class_weight=weight).fit(table, masks)
        predicted = np.concatenate([p.ravel() for p in model.predict(table)])
        truth = np.concatenate([m.ravel() for m in masks])
        recall[weight] = (predicted == 255)[truth == 255].mean()
    assert recall["balanced"] > recall[None] + 0.2


@pytest.mark.parametrize(
    ("class_weight", "message"),
    [
        ({7: 1.0}, r"the classes \[10, 20, 255\], got \[7\]"),
        ({10: -1.0}, "finite weights >= 0"),
        ({10: np.nan}, "finite weights >= 0"),
        ({10: 0, 20: 0, 255: 0}, "not all of them 0"),
    ],
)
def test_wrong_class_weight(data, class_weight, message):
    """Weights of unknown classes, or that make no sense, are refused."""
    with pytest.raises(ValueError, match=message):
        make_classifier(class_weight=class_weight).fit(*data)
