"""Measures of label maps and their scorers, against scikit-learn's on flat labels."""

import pickle
from functools import partial

import numpy as np
import pytest
import sklearn.metrics
from sklearn.base import BaseEstimator
from sklearn.model_selection import GridSearchCV, cross_validate

from sklearn_zoomout import metrics
from sklearn_zoomout.metrics import (
    class_accuracy,
    class_accuracy_scorer,
    confusion_matrix,
    iou_per_class,
    mean_iou,
    mean_iou_scorer,
    pixel_accuracy,
    pixel_accuracy_scorer,
    recall_per_class,
    segmentation_report,
    segmentation_scorer,
)

CLASSES = [10, 20, 255]


def random_maps(seed=0):
    """Truth with unlabeled pixels and predictions, images of different sizes."""
    rng = np.random.default_rng(seed)
    sizes = [(5, 7), (8, 3), (1, 1)]
    truth = [rng.choice([*CLASSES, -1], size) for size in sizes]
    predicted = [rng.choice(CLASSES, size) for size in sizes]
    return truth, predicted


def flat(truth, predicted):
    """The labeled pixels of all images in one array."""
    truth, predicted = (
        np.concatenate([m.ravel() for m in maps]) for maps in (truth, predicted)
    )
    return truth[truth != -1], predicted[truth != -1]


def test_measures_agree_with_scikit_learn():
    """Pooled over images, they are scikit-learn's measures of flat labels."""
    maps = random_maps()
    true, predicted = flat(*maps)
    np.testing.assert_array_equal(
        confusion_matrix(*maps),
        sklearn.metrics.confusion_matrix(true, predicted),
    )
    jaccard = sklearn.metrics.jaccard_score(true, predicted, average=None)
    np.testing.assert_allclose(iou_per_class(*maps), jaccard)
    assert mean_iou(*maps) == pytest.approx(jaccard.mean())
    accuracy = sklearn.metrics.accuracy_score(true, predicted)
    assert pixel_accuracy(*maps) == pytest.approx(accuracy)
    recall = sklearn.metrics.recall_score(true, predicted, average=None)
    np.testing.assert_allclose(recall_per_class(*maps), recall)
    assert class_accuracy(*maps) == pytest.approx(recall.mean())


def test_labels_give_the_order():
    """Rows and columns follow labels, also in descending order."""
    maps = random_maps()
    np.testing.assert_array_equal(
        confusion_matrix(*maps, labels=CLASSES[::-1]),
        confusion_matrix(*maps)[::-1, ::-1],
    )


def test_absent_class_is_left_out_of_means():
    """A class neither true nor predicted is NaN per class and not in the means."""
    maps = random_maps()
    with_absent = [*CLASSES, 300]
    assert np.isnan(iou_per_class(*maps, labels=with_absent)[3])
    assert np.isnan(recall_per_class(*maps, labels=with_absent)[3])
    assert mean_iou(*maps, labels=with_absent) == mean_iou(*maps)
    assert class_accuracy(*maps, labels=with_absent) == class_accuracy(*maps)


def test_class_that_is_only_predicted():
    """It counts as 0 in the mean IoU, and is left out of the class accuracy."""
    truth, predicted = [np.array([[1, 1]])], [np.array([[1, 2]])]
    assert iou_per_class(truth, predicted).tolist() == [0.5, 0]
    assert mean_iou(truth, predicted) == 0.25
    assert class_accuracy(truth, predicted) == 0.5


def test_prediction_of_unlabeled_pixels_does_not_matter():
    """Unlabeled pixels are left out, whatever is predicted there."""
    truth = [np.array([[1, 2, -1]])]
    for label in (1, 77, -1):
        assert mean_iou(truth, [np.array([[1, 2, label]])]) == 1


def test_object_array_and_lists():
    """Predictions may be the object array of a classifier or nested lists."""
    truth, predicted = random_maps()
    array = np.empty(len(predicted), dtype=object)
    array[:] = predicted
    lists = [m.tolist() for m in truth]
    assert mean_iou(lists, array) == mean_iou(truth, predicted)


def test_dtypes_do_not_matter():
    """Unsigned truth with signed predictions gives the same."""
    truth, predicted = random_maps()
    truth = [np.where(m == -1, 10, m) for m in truth]
    small = [m.astype(np.uint8) for m in truth]
    assert mean_iou(small, predicted) == mean_iou(truth, predicted)


@pytest.mark.parametrize(
    ("truth", "predicted", "message"),
    [
        ([[[1]]], [[[1]], [[1]]], "as many label maps as in y_true, 1, got 2"),
        ([[[1, 2]]], [[[1]]], r"expected shape \(1, 2\)"),
        ([[[-1]]], [[[1]]], "all pixels are unlabeled"),
        (
            [[[1]]],
            [[[-1]]],
            r"y_pred\[0\]: expected a class for every labeled pixel, got -1",
        ),
        ([[[1.5]]], [[[1]]], "expected integer class labels, got 1.5"),
    ],
)
def test_wrong_maps(truth, predicted, message):
    """Maps that do not belong together are refused, naming which."""
    with pytest.raises(ValueError, match=message):
        mean_iou(truth, predicted)


def test_label_outside_labels():
    """A label that is none of labels is refused, in truth and in prediction."""
    with pytest.raises(ValueError, match=r"y_true\[1\]: .* \[1, 2\], got \[7\]"):
        mean_iou([[[1]], [[7]]], [[[1]], [[1]]], labels=[1, 2])
    with pytest.raises(ValueError, match=r"y_pred\[0\]: .* \[1, 2\], got \[7\]"):
        mean_iou([[[1]], [[2]]], [[[7]], [[1]]], labels=[1, 2])


def test_report():
    """The report has a line per class, the means, and - for what is absent."""
    truth, predicted = [[[1, 1, 2, 2]]], [[[1, 1, 2, 1]]]
    report = segmentation_report(
        truth, predicted, labels=[1, 2, 3], class_names=["none", "sky", "tree", "cow"]
    )
    lines = report.splitlines()
    assert lines[1].split() == ["sky", "66.7", "100.0", "66.7", "2"]
    assert lines[2].split() == ["tree", "50.0", "50.0", "100.0", "2"]
    assert lines[3].split() == ["cow", "-", "-", "-", "0"]
    assert lines[5].split() == ["mean", "58.3", "75.0", "83.3", "4"]
    assert lines[6] == "pixel accuracy 75.0"


def test_report_wants_a_name_for_every_class():
    """Names are those of label 0, 1, ..., or given for each label."""
    maps = [[[1, 2]]]
    with pytest.raises(ValueError, match=r"no name for the labels \[1, 2\]"):
        segmentation_report(maps, maps, class_names=["sky"])
    by_label = segmentation_report(maps, maps, class_names={2: "tree", 1: "sky"})
    assert by_label == segmentation_report(maps, maps, class_names=["", "sky", "tree"])


def test_repeated_labels_are_refused():
    """They would be counted twice."""
    with pytest.raises(ValueError, match=r"distinct classes, got \[0, 0, 1\]"):
        pixel_accuracy([[[0, 1]]], [[[0, 1]]], labels=[0, 0, 1])


class Constant(BaseEstimator):
    """Predicts one label, and counts how often it is asked."""

    calls = 0

    def __init__(self, label=1):
        self.label = label

    def fit(self, images, masks):
        self.classes_ = np.unique(np.concatenate([np.ravel(m) for m in masks]))
        return self

    def predict(self, images):
        type(self).calls += 1
        predicted = np.empty(len(images), dtype=object)
        for i, image in enumerate(images):
            predicted[i] = np.full(image.shape[:2], self.label)
        return predicted


@pytest.fixture
def halves():
    """Six images, of which the left half is of class 0 and the right of 1."""
    mask = np.array([[0, 0, 0, 1]])
    return [np.zeros((1, 4, 3), np.uint8)] * 6, [mask] * 6


def test_scorers_are_their_measures(halves):
    """Each scorer gives its measure of the predictions."""
    images, masks = halves
    model = Constant(0).fit(images, masks)
    assert mean_iou_scorer(model, images, masks) == 0.375
    assert pixel_accuracy_scorer(model, images, masks) == 0.75
    assert class_accuracy_scorer(model, images, masks) == 0.5


def test_scorers_choose_in_a_grid_search(halves):
    """GridSearchCV takes a scorer, and picks the better label."""
    search = GridSearchCV(Constant(), {"label": [1, 0]}, scoring=mean_iou_scorer, cv=3)
    assert search.fit(*halves).best_params_ == {"label": 0}


def test_scorers_share_one_prediction(halves):
    """Three scorers of a fold cost one prediction, not three."""
    scoring = {
        "iou": mean_iou_scorer,
        "pixel": pixel_accuracy_scorer,
        "class": class_accuracy_scorer,
    }
    Constant.calls = 0
    scores = cross_validate(Constant(0), *halves, scoring=scoring, cv=3)
    assert scores["test_pixel"].tolist() == [0.75] * 3
    assert Constant.calls == 3


def test_scorer_refuses_labels_unseen_in_fit(halves):
    """A truth label that is none of classes_ is an error that says what to do."""
    images, masks = halves
    model = Constant(0).fit(images, masks)
    masks = [*masks[:-1], np.array([[0, 0, 255, 1]])]
    with pytest.raises(ValueError, match=r"masks\[5\]: labels \[255\].*mark_unlabeled"):
        mean_iou_scorer(model, images, masks)


def test_scorer_can_be_pickled(halves):
    """Parallel searches send scorers to other processes."""
    images, masks = halves
    scorer = pickle.loads(pickle.dumps(mean_iou_scorer))
    assert scorer(Constant(0).fit(images, masks), images, masks) == 0.375


def test_all_public_names_exist():
    """Every name that the module lists is there."""
    assert all(hasattr(metrics, name) for name in metrics.__all__)


def test_reports_are_aligned():
    """Columns are as wide as their longest entry, and numbers end together."""
    truth, predicted = [[[1] * 9 + [2] * 3]], [[[1] * 9 + [2, 2, 1]]]
    lines = segmentation_report(truth, predicted, digits=3).splitlines()
    assert lines == [
        "          IoU   recall  precision   pixels",
        "1      90.000  100.000     90.000        9",
        "2      66.667   66.667    100.000        3",
        "",
        "mean   78.333   83.333     95.000       12",
        "pixel accuracy 91.667",
    ]
    names = {1: "firmament", 2: "a"}
    many = [np.ones((3000, 4000), dtype=np.uint8)]
    lines = segmentation_report(many, many, class_names=names).splitlines()
    assert lines[0] == "             IoU  recall  precision    pixels"
    assert lines[1] == "firmament  100.0   100.0      100.0  12000000"


@pytest.mark.parametrize("digits", [0, 2])
def test_reports_have_as_many_digits_as_they_are_asked_for(digits):
    """Also in the last line."""
    maps = [[[1, 1, 2]]], [[[1, 2, 2]]]
    lines = segmentation_report(*maps, digits=digits).splitlines()
    assert lines[1].split()[1:4] == ["50.00"[: 2 + digits + (digits > 0)]] * 2 + [
        "100.00"[: 3 + digits + (digits > 0)]
    ]
    assert lines[-1] == f"pixel accuracy {200 / 3:.{digits}f}"


def test_pixels_that_are_predicted_to_have_no_data_do_not_count(halves):
    """Only scorers leave them out; a measure refuses them."""
    images, masks = halves
    predicted = np.array([[0, -1, 1, 1]])

    class Holes(Constant):
        def predict(self, images):
            return [predicted] * len(images)

    model = Holes().fit(images, masks)
    unsigned = [mask.astype(np.uint8) for mask in masks]
    for truth in (masks, unsigned, [mask.tolist() for mask in masks]):
        assert pixel_accuracy_scorer(model, images, truth) == pytest.approx(2 / 3)
    with pytest.raises(ValueError, match=r"^y_pred\[0\]: expected a class"):
        pixel_accuracy(masks, [predicted] * 6)


@pytest.mark.parametrize("n", [2, 4])
def test_scorers_count_images_and_masks(halves, n):
    """The error gives both numbers."""
    images, masks = halves
    model = Constant().fit(images, masks)
    with pytest.raises(ValueError, match=f"as many .* as in y_true, {n}, got 3"):
        mean_iou_scorer(model, images[:3], masks[:n])


def test_scorers_have_the_name_of_their_measure():
    """So that scikit-learn prints it; a partial function has none."""
    assert "mean_iou" in repr(mean_iou_scorer)

    def own(y_true, y_pred):
        return 0.25

    assert "own" in repr(segmentation_scorer(own))
    assert "functools.partial" in repr(segmentation_scorer(partial(mean_iou)))


def test_scorers_take_estimators_without_classes(halves):
    """Of them, any label may be known."""
    images, masks = halves
    model = Constant(1).fit(images, masks)
    del model.classes_
    assert (
        segmentation_scorer(lambda y_true, y_pred: 0.25)(model, images, masks) == 0.25
    )


def test_one_class_has_a_matrix_too():
    """Of one cell; lists of no images have none."""
    assert confusion_matrix([[[7, -1]]], [[[7, 7]]]).tolist() == [[1]]
    for labels in (None, [1, 2]):
        with pytest.raises(ValueError, match="at least one item|all pixels"):
            confusion_matrix([], [], labels=labels)
