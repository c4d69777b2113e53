"""What both clean-up steps share."""

import warnings

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import RidgeClassifier
from sklearn.model_selection import GridSearchCV, KFold, ShuffleSplit, cross_val_score
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import Pipeline

from sklearn_zoomout import (
    GraphSmoothing,
    IslandRemoval,
    LocalFeatures,
    SuperpixelSegmenter,
    ZoomoutClassifier,
)
from sklearn_zoomout.exceptions import EmptyMaskWarning, FewIslandsWarning
from sklearn_zoomout.metrics import mean_iou, mean_iou_scorer

STEPS = pytest.mark.parametrize("step", [GraphSmoothing, IslandRemoval])


@STEPS
def test_predictions_agree_with_each_other(step, classifier, data, new_data):
    """Labels, probabilities of pixels and of superpixels tell the same."""
    model = step(classifier).fit(*data)
    table, masks = new_data
    predicted, proba = model.predict(table), model.predict_proba(table)
    rows = np.split(model.predict_superpixel_proba(table), table.row_offsets[1:-1])
    for i, segmented in enumerate(table.superpixels):
        assert predicted[i].dtype == np.uint8
        assert proba[i].dtype == np.float32
        np.testing.assert_array_equal(proba[i], rows[i][segmented.segments])
        np.testing.assert_array_equal(
            predicted[i], model.classes_[proba[i].argmax(axis=2)]
        )
        np.testing.assert_allclose(proba[i].sum(axis=2), 1, rtol=1e-5)
    assert model.score(table, masks) == mean_iou(masks, predicted)
    np.testing.assert_array_equal(model.feature_names_in_, table.columns)
    assert model.n_features_in_ == table.n_columns


@STEPS
def test_mistakes_are_mended(step, classifier, data, new_data):
    """On new images the clean-up is better than what it cleans."""
    before = clone(classifier).fit(*data).score(*new_data)
    assert step(classifier).fit(*data).score(*new_data) > before + 0.02


def test_steps_compose(classifier, data, new_data):
    """Islands are removed from smoothed probabilities."""
    model = IslandRemoval(GraphSmoothing(classifier, strengths=[1]), cv=2).fit(*data)
    before = model.estimator_.score(*new_data)
    assert model.score(*new_data) >= before


@STEPS
def test_what_is_learned_comes_from_images_not_trained_on(step, data):
    """Every superpixel is predicted once, by a model that did not see its image."""
    table, masks = data
    seen = []

    class Spy(ZoomoutClassifier):
        def fit(self, X, y):
            self.trained_on = set(X._images.tolist())
            return super().fit(X, y)

        def predict_superpixel_proba(self, X):
            seen.append((self.trained_on, set(X._images.tolist())))
            return super().predict_superpixel_proba(X)

    spy = Spy(estimator=GaussianNB(), class_weight=None)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        step(spy, cv=KFold(3, shuffle=True, random_state=1)).fit(table, masks)
    assert len(seen) == 3
    assert all(not trained & predicted for trained, predicted in seen)
    assert set.union(*(predicted for _, predicted in seen)) == set(range(6))


def test_out_of_fold_rows_are_where_their_images_are(classifier, data):
    """Folds in any order give the same as folds of consecutive images."""
    table, masks = data
    folds = [([2, 3, 0], [5, 1, 4]), ([1, 4, 5], [3, 2, 0])]
    model = GraphSmoothing(classifier, cv=folds)
    classes = np.array([10, 20, 25])
    shuffled = model._out_of_fold(table, masks, model._split(np.ones(6, bool)), classes)
    direct = clone(classifier).fit(table, masks).predict_superpixel_proba(table)
    # The made-up probabilities depend on the row alone.
    np.testing.assert_allclose(shuffled, direct, rtol=1e-6)


def test_class_that_a_fold_lacks_keeps_its_place(classifier, data):
    """Its probability is 0 where the fold's model does not know it."""
    table, masks = data
    masks = [np.where(m == 20, 10, m) if i < 4 else m for i, m in enumerate(masks)]
    folds = [(np.arange(4), np.arange(4, 6)), (np.arange(4, 6), np.arange(4))]
    model = GraphSmoothing(classifier, cv=folds)
    proba = model._out_of_fold(table, masks, folds, np.array([10, 20, 25]))
    without = proba[table.row_offsets[4] :]
    assert (without[:, 1] == 0).all()
    assert (without[:, [0, 2]] > 0).all()
    np.testing.assert_allclose(proba.sum(axis=1), 1, rtol=1e-5)


@STEPS
def test_estimator_of_a_fold_knows_all_classes(step, classifier, data):
    """What names a class that a fold lacks is no error, nor a warning for each fold."""
    table, masks = data
    masks = [np.where(m == 25, 20, m) if i < 4 else m for i, m in enumerate(masks)]
    folds = [(np.arange(4), np.arange(4, 6)), (np.arange(4, 6), np.arange(4))]
    weighted = ZoomoutClassifier(
        estimator=GaussianNB(), standardize=False, class_weight={25: 2.0}
    )
    model = step(weighted, cv=folds)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FewIslandsWarning)
        assert model.fit(table, masks).classes_.tolist() == [10, 20, 25]
        inner = clone(model).set_params(cv=2)
        outer = GraphSmoothing(inner, strengths=[1], cv=2)
        assert outer.fit(table, masks).classes_.tolist() == [10, 20, 25]
    assert weighted.classes is None
    assert model.estimator.classes is None


@STEPS
def test_no_more_folds_than_labeled_images(step, classifier, data):
    """Three folds of two labeled images are two; of one image there are none."""
    table, masks = data
    unlabeled = [np.full_like(mask, -1) for mask in masks]
    two = [unlabeled[0], masks[1], *unlabeled[2:5], masks[5]]
    with pytest.warns(EmptyMaskWarning, match=r"masks\[0, 2, 3, 4\]"):
        model = step(classifier, cv=3).fit(table, two)
    only = step(classifier, cv=2).fit(table[[1, 5]], [masks[1], masks[5]])
    np.testing.assert_array_equal(
        model.predict_superpixel_proba(table), only.predict_superpixel_proba(table)
    )
    with pytest.raises(ValueError, match=f"{step.__name__}: expected at least.*got 1;"):
        step(classifier).fit(table, [masks[0], *unlabeled[1:]])


def test_listed_folds_number_all_images(classifier, data):
    """Unlabeled images are dropped from them, whichever their numbers."""
    table, masks = data
    masks = [np.full_like(masks[0], -1), *masks[1:]]
    labeled = np.arange(6) > 0
    folds = [([0, 1, 2], [3, 4, 5]), ([3, 4, 5], [1, 2]), ([1, 4], [0])]
    split = GraphSmoothing(classifier, cv=folds)._split(labeled)
    assert [(a.tolist(), b.tolist()) for a, b in split] == [
        ([1, 2], [3, 4, 5]),
        ([3, 4, 5], [1, 2]),
    ]
    split = GraphSmoothing(classifier, cv=KFold(5))._split(labeled)
    assert [test.tolist() for _, test in split] == [[1], [2], [3], [4], [5]]


@STEPS
def test_fold_that_cannot_be_fitted_is_named(step, classifier, data):
    """Here the images that one of two folds leaves are all of one class."""
    table, masks = data
    masks = [np.where(m > 0, 10, m) if i < 3 else m for i, m in enumerate(masks)]
    says = r"cv: fold 2 of 2, trained without images \[3, 4, 5\].*only class 10"
    with pytest.raises(ValueError, match=says):
        step(classifier, cv=2).fit(table, masks)
    folds = [([], np.arange(3)), (np.arange(3), np.arange(3, 6))]
    with pytest.raises(ValueError, match="cv: fold 1 of 2"):
        step(classifier, cv=folds).fit(*data)


@STEPS
def test_fitted_estimator_is_not_fitted_again(step, classifier, data, new_data):
    """A frozen estimator is kept, and only the clean-up is learned."""
    inner = clone(classifier).fit(*data)
    model = step(FrozenEstimator(inner), cv=2).fit(*new_data)
    assert model.estimator_.estimator is inner
    assert model.score(*data) > inner.score(*data)


@STEPS
def test_unlabeled_image_changes_nothing(step, classifier, data):
    """An image that is all unlabeled warns once and is in no fold's training."""
    table, masks = data
    masks = [*masks[:5], np.full_like(masks[5], -1)]
    folds = KFold(2)
    with pytest.warns(EmptyMaskWarning, match=r"masks\[5\]") as record:
        model = step(classifier, cv=folds).fit(table, masks)
    assert len(record) == 1
    assert np.isfinite(model.predict_superpixel_proba(table)).all()


def test_in_a_pipeline_and_grid_search(images, masks):
    """It stands as last step, and parameters of the classifier can be searched."""
    classifier = ZoomoutClassifier((8,), max_epochs=2, random_state=0)
    model = Pipeline(
        [
            ("superpixels", SuperpixelSegmenter(30)),
            ("local", LocalFeatures(descriptors=("color",), random_state=0)),
            ("classifier", GraphSmoothing(classifier, cv=2)),
        ]
    )
    grid = {"classifier__estimator__hidden_units": [(4,), (8,)]}
    search = GridSearchCV(model, grid, scoring=mean_iou_scorer, cv=2)
    assert 0 <= search.fit(images, masks).best_score_ <= 1
    assert len(cross_val_score(model, images, masks, cv=2)) == 2


@STEPS
def test_label_unseen_in_fit_is_refused_when_scoring(step, classifier, data):
    """By score and by the scorers."""
    table, masks = data
    model = step(classifier).fit(table, masks)
    unseen = [*masks[:5], np.where(masks[5] == 10, 11, masks[5])]
    for score in (model.score, lambda x, y: mean_iou_scorer(model, x, y)):
        with pytest.raises(ValueError, match=r"masks\[5\].*\[11\].*fit"):
            score(table, unseen)


@STEPS
@pytest.mark.parametrize(
    ("parameter", "value", "says"),
    [
        ("cv", 1, "cv"),
        ("cv", True, "cv"),
        ("cv", KFold(7), "n_splits=7.*n_samples=6"),
        ("cv", [], "each of the 6 images once"),
        ("cv", ((np.arange(5), [5]) for _ in "a"), "several times.*generator.*list"),
        ("cv", ShuffleSplit(2, random_state=0), "each of the 6 images once"),
        ("estimator", RidgeClassifier(), "estimator.*predict_superpixel_proba"),
        (
            "estimator",
            ZoomoutClassifier(estimator=RidgeClassifier()),
            "estimator.*ZoomoutClassifier around RidgeClassifier.*no predict_proba",
        ),
        (
            "estimator",
            Pipeline([("classifier", ZoomoutClassifier())]),
            "estimator.*wrap the last step of the pipeline",
        ),
        ("estimator", None, "estimator"),
    ],
)
def test_bad_parameter_is_refused(step, parameter, value, says, classifier, data):
    """Before any work."""

    class NoWork(ZoomoutClassifier):
        def fit(self, X, y):
            raise AssertionError("work began before the parameters were checked")

    model = step(NoWork())
    setattr(model, parameter, value)
    with pytest.raises(ValueError, match=says):
        model.fit(*data)


@STEPS
def test_bad_input_is_refused(step, classifier, data):
    """Masks, tables and columns are told as by the classifier."""
    table, masks = data
    with pytest.raises(ValueError, match="5 masks for 6 images"):
        step(classifier).fit(table, masks[:5])
    with pytest.raises(ValueError, match=r"masks\[2\].*-3"):
        step(classifier).fit(table, [*masks[:2], masks[2] * 0 - 3, *masks[3:]])
    with pytest.raises(TypeError, match="FeatureTable"):
        step(classifier).fit(np.zeros((6, 3)), masks)
    with pytest.raises(NotFittedError, match=step.__name__):
        step(classifier).predict(table)
    with pytest.raises(NotFittedError, match=step.__name__):
        step(classifier).score(table, masks)
    model = step(classifier).fit(table, masks)
    with pytest.raises(ValueError, match="3 missing"):
        model.predict(table.select([]))


@STEPS
def test_interrupted_fit_is_not_fitted(step, classifier, data, monkeypatch):
    """Ctrl-C is raised again, and what was fitted before is gone."""
    model = step(classifier).fit(*data)

    def interrupt(*args):
        raise KeyboardInterrupt

    monkeypatch.setattr(step, "_learn", interrupt)
    with pytest.raises(KeyboardInterrupt):
        model.fit(*data)
    with pytest.raises(NotFittedError):
        model.predict(data[0])
