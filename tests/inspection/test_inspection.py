"""What a pipeline decides by and where it loses accuracy, against sums by hand."""

import copy
import re

import numpy as np
import pytest
import sklearn
from sklearn.base import BaseEstimator, clone
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import FeatureUnion, Pipeline
from sklearn.svm import LinearSVC

from sklearn_zoomout import (
    GraphSmoothing,
    LocalFeatures,
    RegionFeatures,
    SuperpixelSegmenter,
    ZoomoutClassifier,
)
from sklearn_zoomout.inspection import error_budget, zoom_importance
from sklearn_zoomout.labels import superpixel_labels
from sklearn_zoomout.metrics import class_accuracy, mean_iou, pixel_accuracy


class Scene(RegionFeatures):
    """Mean color of the whole image, once per image."""

    block_name = "scene"
    per_image = True

    def describe(self, segmented):
        return segmented.rgb.mean(axis=(0, 1))

    def column_names(self):
        return ["red", "green", "blue"]


class Constant(RegionFeatures):
    """A level that says the same of every superpixel."""

    block_name = "constant"

    def describe(self, segmented):
        return np.full((segmented.n_segments, 2), 0.3, dtype=np.float32)

    def column_names(self):
        return ["first", "second"]


class Wrapper(BaseEstimator):
    """A last step that is no ZoomoutClassifier, and keeps no means."""

    def __init__(self, inner=None):
        self.inner = inner

    def fit(self, X, y):
        self.inner_ = clone(self.inner).fit(X, y)
        self.classes_ = self.inner_.classes_
        return self

    def predict(self, X):
        return self.inner_.predict(X)

    def predict_superpixel_proba(self, X):
        return self.inner_.predict_superpixel_proba(X)


def make_model(last=None, **classifier):
    """Make a pipeline of three levels that takes milliseconds."""
    levels = [
        ("local", LocalFeatures(descriptors=("color",))),
        ("scene", Scene()),
        ("constant", Constant()),
    ]
    options = {"max_epochs": 20, "learning_rate": 1e-3, "random_state": 0}
    return Pipeline(
        [
            ("superpixels", SuperpixelSegmenter(30)),
            ("zoomout", FeatureUnion(levels)),
            ("classifier", last or ZoomoutClassifier(**(options | classifier))),
        ]
    )


def logistic(**options):
    """Make a last step whose probabilities are easily computed by hand."""
    return ZoomoutClassifier(estimator=LogisticRegression(max_iter=500), **options)


@pytest.fixture(scope="module")
def model(images, masks):
    """A model of three of the four images, to be asked only."""
    return make_model().fit(images[:3], masks[:3])


@pytest.fixture(scope="module")
def labeled(masks):
    """The masks with labels 10, 20, 30 and some unlabeled pixels."""
    changed = [10 * mask + 10 for mask in masks]
    for mask in changed:
        mask[:7] = -1
    return changed


def by_hand(model, image, mean, scale):
    """Give the probabilities with all columns, and without each of the blocks."""
    table = model[:-1].transform([image])
    values, estimator = table.to_numpy().astype(float), model[-1].estimator_

    def probabilities(rows):
        return estimator.predict_proba(np.clip((rows - mean) / scale, -5, 5))

    ends = np.cumsum([0, *(len(block.columns) for block in table.blocks)])
    without = []
    for start, stop in zip(ends[:-1], ends[1:], strict=True):
        rows = values.copy()
        rows[:, start:stop] = 0
        rows[:, start:stop] += mean[start:stop]
        without.append(probabilities(rows))
    return probabilities(values), without


def check_against(importance, classes, full, without):
    """Compare an importance with probabilities computed by hand."""
    best = full.argmax(axis=1)
    rows = np.arange(len(full))
    np.testing.assert_array_equal(importance.decision, classes[best])
    np.testing.assert_allclose(importance.probability, full[rows, best], atol=1e-5)
    for level, proba in enumerate(without):
        expected = full[rows, best] - proba[rows, best]
        np.testing.assert_allclose(importance.values[:, level], expected, atol=1e-5)
        np.testing.assert_array_equal(
            importance.decision_without[:, level], classes[proba.argmax(axis=1)]
        )


def test_importance_is_the_lost_probability_of_the_decision(images, labeled):
    """A level's columns become those of an average training superpixel."""
    model = make_model(logistic()).fit(images[:3], labeled[:3])
    importance = zoom_importance(model, images[3])
    classifier = model[-1]
    full, without = by_hand(model, images[3], classifier.mean_, classifier.scale_)
    check_against(importance, classifier.classes_, full, without)
    assert importance.levels == ["local", "scene", "constant"]
    assert importance.classes.tolist() == [10, 20, 30]
    assert importance.segmented.n_segments == len(importance.values)
    assert (importance.values[:, 0] > 0.1).any()
    assert (importance.decision_without[:, 0] != importance.decision).any()


def test_reference_images_give_the_means(images, labeled):
    """Where features are not standardized, or other means are wanted."""
    model = make_model(logistic(standardize=False)).fit(images[:3], labeled[:3])
    with pytest.raises(ValueError, match=r"ZoomoutClassifier has no means"):
        zoom_importance(model, images[3])
    importance = zoom_importance(model, images[3], reference=images[1:3])
    reference = model[:-1].transform(images[1:3]).to_numpy()
    # Unscaled values: nothing here reaches the limit of +-5 where rows are clipped.
    values = model[:-1].transform(images[3:]).to_numpy()
    assert np.abs(values - reference.mean(axis=0)).max() < 5
    estimator, mean = model[-1].estimator_, reference.mean(axis=0)
    full = estimator.predict_proba(values)
    without = []
    for columns in (slice(0, -5), slice(-5, -2), slice(-2, None)):
        rows = values.copy()
        rows[:, columns] = mean[columns]
        without.append(estimator.predict_proba(rows))
    check_against(importance, model[-1].classes_, full, without)


def test_network_is_explained(model, images):
    """The default classifier: colors count, a constant level says nothing at all."""
    importance = zoom_importance(model, images[3])
    table = model[:-1].transform(images[3:])
    proba = model[-1].predict_superpixel_proba(table)
    np.testing.assert_array_equal(importance.probability, proba.max(axis=1))
    assert importance.values[:, 0].mean() > 0.2
    np.testing.assert_allclose(importance.values[:, 2], 0, atol=1e-6)
    assert (np.abs(importance.values) <= 1).all()


def test_wrapped_classifier_is_explained(model, images, masks):
    """Any last step with probabilities of superpixels will do, given a reference."""
    wrapped = make_model(Wrapper(make_model()[-1])).fit(images[:3], masks[:3])
    with pytest.raises(ValueError, match="Wrapper has no means"):
        zoom_importance(wrapped, images[3])
    importance = zoom_importance(wrapped, images[3], reference=images[:3])
    expected = zoom_importance(model, images[3]).values
    # The model's own means leave nothing out: every superpixel here has a label.
    np.testing.assert_allclose(importance.values, expected, atol=1e-4)


def test_cleaned_up_predictions_are_explained(model, images, masks):
    """Clean-up keeps the means of what it is around: no reference is needed."""
    smoothing = GraphSmoothing(make_model()[-1], strengths=[0], cv=3)
    smoothed = make_model(smoothing).fit(images[:3], masks[:3])
    expected = zoom_importance(model, images[3]).values
    values = zoom_importance(smoothed, images[3]).values
    np.testing.assert_allclose(values, expected, atol=1e-6)


def test_one_level_is_compared_with_mean_features(images, masks):
    """A single level has an importance too: all that is not a guess."""
    model = make_model().set_params(zoomout=LocalFeatures(descriptors=("color",)))
    importance = zoom_importance(model.fit(images[:3], masks[:3]), images[3])
    assert importance.values.shape == (importance.segmented.n_segments, 1)
    assert len(np.unique(importance.decision_without)) == 1


def test_frames_of_tables_are_explained(images, masks, model):
    """Under scikit-learn's pandas output, the steps hand over frames of tables."""
    with sklearn.config_context(transform_output="pandas"):
        again = make_model().fit(images[:3], masks[:3])
        importance = zoom_importance(again, images[3])
    expected = zoom_importance(model, images[3]).values
    np.testing.assert_allclose(importance.values, expected, atol=1e-5)


BUDGET = {
    "pixel accuracy": pixel_accuracy,
    "class accuracy": class_accuracy,
    "mean IoU": mean_iou,
}


def test_budget_is_made_of_three_scores(images, labeled):
    """The ceiling, a clone trained on the images, and the model, of labeled pixels."""
    # Trained with two classes exchanged, so that the clone must differ from the model.
    swapped = [np.where(mask > 0, 30 - mask % 30, mask) for mask in labeled[:2]]
    model = make_model().fit(images[:2], swapped)
    before = copy.deepcopy(model)
    budget = error_budget(model, images[2:], labeled[2:])
    assert budget.losses["classifier"]["pixel accuracy"] > 0.3
    table = model[:-1].transform(images[2:])
    maps = {
        "superpixels": [
            superpixel_labels(s, m)[s.segments]
            for s, m in zip(table.superpixels, labeled[2:], strict=True)
        ],
        "features": clone(model[-1]).fit(table, labeled[2:]).predict(table),
        "classifier": model.predict(images[2:]),
    }
    for stage, labels in maps.items():
        for name, measure in BUDGET.items():
            assert budget.scores[stage][name] == measure(labeled[2:], labels)
    for name in BUDGET:
        lost = sum(losses[name] for losses in budget.losses.values())
        assert 1 - lost == pytest.approx(budget.scores["classifier"][name])
    for kept, now in zip(
        before.predict(images), model.predict(images), strict=True
    ):  # the model itself is not trained again
        np.testing.assert_array_equal(kept, now)


def test_nothing_is_lost_by_learning_from_the_same_images(images, masks):
    """A model's own training images leave no loss to its classifier."""
    few_steps = {"max_epochs": 1, "schedule": "constant", "batch_size": 512}
    model = make_model(hidden_units=(128,), **few_steps).fit(images[:3], masks[:3])
    losses = error_budget(model, images[:3], masks[:3]).losses
    assert losses["classifier"] == dict.fromkeys(BUDGET, 0)
    assert losses["features"]["pixel accuracy"] > 0


def test_exact_superpixels_lose_nothing(images, masks):
    """Superpixels that follow the truth have a ceiling of 1."""
    true = {len(image): mask for image, mask in zip(images[1:], masks[1:], strict=True)}
    model = make_model()
    model.set_params(superpixels__method=lambda rgb: _split_columns(true[len(rgb)]))
    budget = error_budget(model.fit(images[1:3], masks[1:3]), images[3:], masks[3:])
    assert budget.losses["superpixels"] == dict.fromkeys(BUDGET, 0)


def _split_columns(mask):
    """Cut every class into strips of eight columns."""
    return mask * 100 + np.arange(mask.shape[1]) // 8


def test_useless_features_lose_the_most(images, masks):
    """What a constant level does not tell is laid on the features."""
    model = make_model().set_params(zoomout=Constant())
    losses = error_budget(model.fit(images[:3], masks[:3]), images, masks).losses
    assert losses["features"]["class accuracy"] > 0.5
    assert losses["classifier"]["class accuracy"] == pytest.approx(0)


def test_budget_prints_a_table_in_percent(model, images, masks):
    """A line for each stage: what is left and what is lost, for each measure."""
    budget = error_budget(model, images, masks)
    head, titles, *lines = str(budget).splitlines()
    assert re.split("  +", head.strip()) == list(BUDGET)
    assert titles.split() == ["left", "lost"] * 3
    assert [line.split()[0] for line in lines] == list(budget.scores)
    for line, stage in zip(lines, budget.scores, strict=True):
        cells = np.array(line.split()[1:], dtype=float) / 100
        left, lost = budget.scores[stage], budget.losses[stage]
        np.testing.assert_allclose(cells[::2], list(left.values()), atol=6e-4)
        np.testing.assert_allclose(cells[1::2], list(lost.values()), atol=6e-4)
    assert len({len(line) for line in [head, titles, *lines]}) == 1


def test_undeclared_label_of_unlabeled_pixels_is_refused(images, labeled):
    """255 is no class of the model, and the error says what to do."""
    voc = [np.where(mask < 0, 255, mask) for mask in labeled]
    with pytest.raises(ValueError, match=r"masks\[0\]: labels \[255\].*mark_unlabeled"):
        error_budget(make_model().fit(images[:3], labeled[:3]), images, voc)


def test_random_state_of_numpy_is_left_alone(model, images, masks):
    """Neither function draws from the global generator."""
    before = np.random.get_state()[1].copy()
    zoom_importance(model, images[0])
    error_budget(model, images, masks)
    np.testing.assert_array_equal(np.random.get_state()[1], before)


CALLS = {
    "zoom_importance": lambda model, images, masks: zoom_importance(model, images[0]),
    "error_budget": error_budget,
}


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
class TestRefusedModels:
    """Models that cannot be asked are refused before any work."""

    def test_not_fitted(self, call, images, masks):
        """As any estimator, with scikit-learn's error."""
        model = make_model()
        model.set_params(superpixels__method=lambda rgb: pytest.fail("work began"))
        with pytest.raises(NotFittedError):
            call(model, images, masks)

    def test_search_is_asked_for_its_pipeline(self, call, model, images, masks):
        """A fitted search holds the pipeline."""
        search = GridSearchCV(model, {"superpixels__n_segments": [30]})
        search.best_estimator_ = model
        with pytest.raises(TypeError, match="got GridSearchCV; pass its best_estim"):
            call(search, images, masks)

    def test_search_that_is_not_fitted(self, call, model, images, masks):
        """Has no pipeline to be asked yet."""
        search = GridSearchCV(model, {"superpixels__n_segments": [30]})
        with pytest.raises(TypeError, match="GridSearchCV; fit it first and pass its"):
            call(search, images, masks)

    def test_classifier_alone(self, call, model, images, masks):
        """The classifier does not see images."""
        with pytest.raises(TypeError, match="Pipeline.*got ZoomoutClassifier"):
            call(model[-1], images, masks)

    def test_no_steps_before_the_classifier(self, call, model, images, masks):
        """Nor does a pipeline of it alone."""
        alone = Pipeline([("classifier", model[-1])])
        with pytest.raises(TypeError, match=r"steps that make a FeatureTable"):
            call(alone, images, masks)

    def test_no_classifier_at_the_end(self, call, model, images, masks):
        """A pipeline that ends with the features labels nothing."""
        with pytest.raises(TypeError, match=r"a last step with predict"):
            call(model[:-1], images, masks)

    def test_no_table(self, call, model, images, masks):
        """Superpixels without features are no table."""
        with pytest.raises(TypeError, match="expected a FeatureTable, got Superpixels"):
            call(Pipeline([model.steps[0], model.steps[2]]), images, masks)

    def test_bad_image(self, call, model, images, masks):
        """Images pass the same gate as everywhere."""
        bad = [images[0].astype(int), *images[1:]]
        with pytest.raises(ValueError, match=r"image(s\[0\])?: .*value_range"):
            call(model, bad, masks)


def test_importance_needs_probabilities(images, masks):
    """Distances to a hyperplane are none; the error budget does without."""
    last = ZoomoutClassifier(estimator=LinearSVC())
    model = make_model(last).fit(images[:3], masks[:3])
    with pytest.raises(TypeError, match="predict_superpixel_proba.*ZoomoutClassifier"):
        zoom_importance(model, images[3])
    assert error_budget(model, images, masks).losses


def test_importance_is_of_one_image(model, images):
    """A list is refused with the way out."""
    with pytest.raises(TypeError, match="image: expected one image.*got a list"):
        zoom_importance(model, images)


def test_importance_names_what_is_wrong(model, images):
    """The image, or the reference, by the names of the parameters."""
    with pytest.raises(TypeError, match=r"^image: expected an array.*'a\.png'"):
        zoom_importance(model, "a.png")
    with pytest.raises(ValueError, match=r"^image: .*value_range"):
        zoom_importance(model, images[0].astype(int))
    with pytest.raises(ValueError, match=r"^reference\[1\]: .*value_range"):
        zoom_importance(model, images[0], reference=[images[0], images[1].astype(int)])
    with pytest.raises(TypeError, match=r"^reference: .*into a list"):
        zoom_importance(model, images[0], reference=images[1])


def test_missing_means_are_told_before_any_work(images, masks):
    """The image is not described in vain."""
    model = make_model(logistic(standardize=False)).fit(images[:3], masks[:3])
    model.set_params(superpixels__method=lambda rgb: pytest.fail("work began"))
    with pytest.raises(ValueError, match="reference: .*has no means"):
        zoom_importance(model, images[3])


def test_importances_can_be_compared(model, images):
    """By identity: their arrays have no single truth."""
    importance = zoom_importance(model, images[3])
    assert importance == importance
    assert importance != zoom_importance(model, images[3])


def test_budget_refuses_masks_that_do_not_fit(model, images, masks):
    """Numbers, shapes and labels are checked before the features are computed."""
    with pytest.raises(ValueError, match="4 masks for 3 images"):
        error_budget(model, images[:3], masks)
    with pytest.raises(ValueError, match=r"masks\[1\]: expected shape"):
        error_budget(model, images, [masks[0], masks[2], *masks[2:]])
    with pytest.raises(ValueError, match=r"masks\[3\]: labels \[9\] did not occur"):
        error_budget(model, images, [*masks[:3], np.full_like(masks[3], 9)])
