"""Every row of the table "What works with scikit-learn" (docs/sklearn.md) is tried."""

import re
from unittest.mock import Mock

import numpy as np
import pytest
import sklearn
from documentation_pages import DOCS
from joblib import parallel_config
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import BaggingClassifier, StackingClassifier, VotingClassifier
from sklearn.experimental import enable_halving_search_cv  # noqa: F401
from sklearn.frozen import FrozenEstimator
from sklearn.inspection import partial_dependence, permutation_importance
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import (
    GridSearchCV,
    GroupKFold,
    HalvingGridSearchCV,
    KFold,
    RandomizedSearchCV,
    StratifiedKFold,
    cross_val_predict,
    cross_val_score,
    cross_validate,
    learning_curve,
    validation_curve,
)
from sklearn.pipeline import FeatureUnion, Pipeline
from sklearn.tree import DecisionTreeClassifier
from skorch.callbacks import Callback

from sklearn_zoomout import (
    ConvnetRegionFeatures,
    LocalFeatures,
    SuperpixelSegmenter,
    ZoomoutClassifier,
)
from sklearn_zoomout.metrics import mean_iou_scorer

GRID = {"classifier__hidden_units": [(), (4,)]}
SCORED = {"cv": 2, "scoring": mean_iou_scorer}
TRIED = {}


def row(name, answer):
    """Note that a test tries the row ``name`` of the table, whose answer this is."""

    def note(test):
        TRIED[name] = answer
        return test

    return note


def make_model(**params):
    """A pipeline that is fitted in a few hundredths of a second."""
    model = Pipeline(
        [
            ("superpixels", SuperpixelSegmenter(n_segments=40)),
            ("local", LocalFeatures(descriptors=("color",))),
            ("classifier", ZoomoutClassifier(max_epochs=2, random_state=0)),
        ]
    )
    return model.set_params(**params)


@pytest.fixture(scope="module")
def fitted(images, masks):
    """The pipeline, fitted."""
    return make_model().fit(images, masks)


def assert_label_maps(labels, images):
    """Check that there is a label map for each image, of its height and width."""
    shapes = [label_map.shape for label_map in labels]
    assert shapes == [image.shape[:2] for image in images]


@row("Pipeline", "yes")
def test_pipeline(fitted, images):
    """It is fitted on images and masks, and predicts label maps."""
    assert_label_maps(fitted.predict(images), images)


@row("FeatureUnion", "yes")
def test_feature_union(images, masks):
    """An unmodified union puts the columns of its levels side by side."""
    levels = [
        ("color", LocalFeatures(descriptors=("color",))),
        ("location", LocalFeatures(descriptors=("location",))),
    ]
    model = make_model(local=FeatureUnion(levels)).fit(images, masks)
    assert model["classifier"].n_features_in_ == 243 + 4
    assert_label_maps(model.predict(images), images)


@row("ColumnTransformer", "no")
def test_column_transformer(images, masks):
    """It wants a table with a row per sample."""
    level = ColumnTransformer([("color", LocalFeatures(("color",)), [0])])
    with pytest.raises(ValueError, match="Expected 2D array"):
        make_model(local=level).fit(images, masks)


@row("GridSearchCV", "yes")
def test_grid_search(images, masks):
    """It searches over parameters of all steps, and fits the best."""
    search = GridSearchCV(make_model(), GRID, **SCORED).fit(images, masks)
    assert 0 < search.best_score_ < 1
    assert_label_maps(search.predict(images), images)
    unscored = GridSearchCV(make_model(), GRID, cv=2).fit(images, masks)
    assert unscored.best_score_ == search.best_score_


@row('GridSearchCV over "drop"', "yes")
def test_grid_search_over_levels(images, masks):
    """A level is left out or replaced, as in the ablation of the paper."""
    levels = [("a", LocalFeatures(("color",))), ("b", ConvnetRegionFeatures())]
    model = make_model(local=FeatureUnion(levels))
    grid = {"local__b": ["drop", LocalFeatures(("location",))]}
    search = GridSearchCV(model, grid, **SCORED).fit(images, masks)
    assert len(search.cv_results_["params"]) == 2


@row("RandomizedSearchCV", "yes")
def test_randomized_search(images, masks):
    """It draws parameters."""
    search = RandomizedSearchCV(make_model(), GRID, n_iter=2, **SCORED)
    assert 0 < search.fit(images, masks).best_score_ < 1


@row("HalvingGridSearchCV", "yes")
def test_halving_search(images, masks):
    """It begins with few images, or with few epochs."""
    search = HalvingGridSearchCV(make_model(), GRID, min_resources=2, factor=2)
    search.set_params(**SCORED)
    assert 0 < search.fit(images, masks).best_score_ < 1
    search.set_params(resource="classifier__max_epochs", max_resources=4)
    assert search.fit(images, masks).n_resources_ == [2, 4]


@row("cross_val_score", "yes")
def test_cross_val_score(images, masks):
    """There is a score for every fold of images."""
    assert cross_val_score(make_model(), images, masks, **SCORED).shape == (2,)


@row('scoring="accuracy"', "no")
def test_measures_of_sklearn(images, masks):
    """They do not know label maps."""
    with pytest.raises(ValueError):
        cross_val_score(
            make_model(), images, masks, scoring="accuracy", error_score="raise"
        )


@row("cross_validate", "yes")
def test_cross_validate(images, masks):
    """It times, scores and returns the fitted models."""
    result = cross_validate(
        make_model(), images, masks, return_estimator=True, **SCORED
    )
    assert len(result["estimator"]) == len(result["test_score"]) == 2


@row("cross_val_predict", "yes")
def test_cross_val_predict(images, masks):
    """It returns label maps out of fold."""
    assert_label_maps(cross_val_predict(make_model(), images, masks, cv=2), images)


@row('cross_val_predict(method="predict_proba")', "no")
def test_cross_val_predict_of_probabilities(images, masks):
    """It makes one array of the masks, to find the classes."""
    with pytest.raises(ValueError, match="inhomogeneous"):
        cross_val_predict(make_model(), images, masks, cv=2, method="predict_proba")


@row("StratifiedKFold", "in part")
def test_stratified_folds(images, masks):
    """Masks are no strata, but labels of images are."""
    with pytest.raises(ValueError, match="inhomogeneous"):
        cross_val_score(make_model(), images, masks, cv=StratifiedKFold(2))
    folds = list(StratifiedKFold(2).split(images, [0, 1, 0, 1]))
    scores = cross_val_score(
        make_model(), images, masks, cv=folds, scoring=mean_iou_scorer
    )
    assert scores.shape == (2,)


@row("KFold", "yes")
def test_folds_of_images(images, masks):
    """An image is in one test fold, as a whole."""
    folds = KFold(2, shuffle=True, random_state=0)
    tested = np.concatenate([test for _, test in folds.split(images)])
    assert sorted(tested) == [0, 1, 2, 3]
    assert cross_val_score(make_model(), images, masks, cv=folds).shape == (2,)


@row("GroupKFold", "yes")
def test_groups(images, masks):
    """There is a group for every image."""
    scores = cross_val_score(
        make_model(),
        images,
        masks,
        groups=[0, 0, 1, 1],
        cv=GroupKFold(2),
        scoring=mean_iou_scorer,
    )
    assert scores.shape == (2,)


@row("learning_curve", "yes")
def test_learning_curve(images, masks):
    """Its sizes are numbers of images."""
    sizes, _, scores = learning_curve(
        make_model(), images, masks, train_sizes=[1, 2], **SCORED
    )
    assert sizes.tolist() == [1, 2]
    assert scores.shape == (2, 2)


@row("validation_curve", "yes")
def test_validation_curve(images, masks):
    """It scores values of one parameter."""
    _, scores = validation_curve(
        make_model(),
        images,
        masks,
        param_name="classifier__dropout",
        param_range=[0, 0.5],
        **SCORED,
    )
    assert scores.shape == (2, 2)


@row("permutation_importance", "no")
def test_permutation_importance(fitted, images, masks):
    """It shuffles columns of arrays, and images have none."""
    with pytest.raises(ValueError, match="inhomogeneous"):
        permutation_importance(fitted, images, masks, scoring=mean_iou_scorer)


@row("partial_dependence", "no")
def test_partial_dependence(fitted, images):
    """It changes columns of arrays, and images have none."""
    with pytest.raises(ValueError):
        partial_dependence(fitted, images, [0])


@row("CalibratedClassifierCV", "in part")
def test_calibration(images, masks):
    """It calibrates a classifier of superpixels, not the pipeline."""
    with pytest.raises(ValueError, match="Unknown label type"):
        CalibratedClassifierCV(make_model(), cv=2).fit(images, masks)
    inside = CalibratedClassifierCV(LogisticRegression(tol=0.1), cv=2)
    model = make_model(classifier__estimator=inside).fit(images, masks)
    assert model.predict_proba(images)[0].shape == (*images[0].shape[:2], 3)


@row("BaggingClassifier", "in part")
def test_bagging(images, masks):
    """It bags classifiers of superpixels, not pipelines."""
    with pytest.raises(ValueError, match="inhomogeneous"):
        BaggingClassifier(make_model(), n_estimators=2).fit(images, masks)
    inside = BaggingClassifier(DecisionTreeClassifier(max_depth=3), n_estimators=2)
    model = make_model(classifier__estimator=inside).fit(images, masks)
    assert_label_maps(model.predict(images), images)


@row("VotingClassifier", "in part")
def test_voting(images, masks):
    """Classifiers of superpixels vote, not pipelines."""
    pipelines = [("a", make_model()), ("b", make_model())]
    with pytest.raises(ValueError, match="Unknown label type"):
        VotingClassifier(pipelines).fit(images, masks)
    trees = [("a", DecisionTreeClassifier()), ("b", LogisticRegression(tol=0.1))]
    model = make_model(
        classifier__estimator=VotingClassifier(trees), classifier__class_weight=None
    )
    assert_label_maps(model.fit(images, masks).predict(images), images)


@row("StackingClassifier", "no")
def test_stacking(images, masks):
    """It takes pipelines for classifiers with one label per sample."""
    pipelines = [("a", make_model()), ("b", make_model())]
    with pytest.raises(ValueError, match="Unknown label type"):
        StackingClassifier(pipelines, cv=2).fit(images, masks)


@row("FrozenEstimator", "yes")
def test_frozen(fitted, images, masks):
    """A frozen pipeline predicts, and is not fitted again."""
    frozen = FrozenEstimator(fitted).fit(images, masks)
    assert_label_maps(frozen.predict(images), images)


@row("clone", "yes")
def test_clone(fitted):
    """A clone has the parameters, and nothing that was learned."""
    copy = clone(fitted)
    assert str(copy) == str(fitted)
    assert not hasattr(copy["classifier"], "classes_")


@row('set_output(transform="pandas")', "no")
def test_set_output(fitted, images):
    """Superpixels are no frame, but the table of their features becomes one."""
    with pytest.raises(ValueError, match="set_output"):
        make_model().set_output(transform="pandas")
    pandas = pytest.importorskip("pandas")
    table = fitted[:-1].transform(images)
    frame = pandas.DataFrame(table.to_numpy(), columns=table.columns)
    assert frame.shape == (table.n_rows, 243)


@row("Metadata routing", "in part")
def test_metadata_routing(images, masks):
    """Groups reach a splitter, but no step takes weights of samples."""
    with sklearn.config_context(enable_metadata_routing=True):
        scores = cross_val_score(
            make_model(),
            images,
            masks,
            params={"groups": [0, 0, 1, 1]},
            cv=GroupKFold(2),
            scoring=mean_iou_scorer,
        )
    assert scores.shape == (2,)
    with pytest.raises(TypeError, match="sample_weight"):
        make_model().fit(images, masks, classifier__sample_weight=np.ones(4))


@row("Pipeline(memory=...)", "yes")
def test_memory_of_the_pipeline(images, masks, tmp_path):
    """It keeps the features of a whole training set."""
    model = make_model(memory=str(tmp_path)).fit(images, masks)
    again = clone(model).fit(images, masks)
    assert_label_maps(again.predict(images), images)
    assert any(tmp_path.rglob("output.pkl"))


@row("HTML representation", "yes")
def test_html(fitted):
    """Notebooks show the steps."""
    assert "SuperpixelSegmenter" in fitted._repr_html_()


@row("Callbacks", "in part")
def test_callbacks(images, masks):
    """Those of skorch see epochs, those of scikit-learn the steps of a pipeline."""
    epochs = []

    class Epochs(Callback):
        def on_epoch_end(self, net, **kwargs):
            epochs.append(len(net.history))

    make_model(classifier__callbacks=[Epochs()]).fit(images, masks)
    assert epochs == [1, 2]
    pytest.importorskip("sklearn.callback")  # since scikit-learn 1.9
    events = ["setup", "teardown", "on_fit_task_begin", "on_fit_task_end"]
    tasks = Mock(spec=events)
    tasks.on_fit_task_end.return_value = False  # do not stop
    make_model().set_callbacks(tasks).fit(images, masks)
    assert tasks.on_fit_task_begin.call_count == 1 + 3  # the fit, and its three steps
    assert not hasattr(ZoomoutClassifier(), "set_callbacks")


@row("joblib's backends", "yes")
@pytest.mark.parametrize("backend", ["sequential", "threading"])
def test_backends(backend, images, masks):
    """Folds run in threads; processes and dask are tried in test_parallel.py."""
    with parallel_config(backend, n_jobs=2):
        scores = cross_val_score(make_model(), images, masks, **SCORED)
    expected = cross_val_score(make_model(), images, masks, **SCORED)
    np.testing.assert_allclose(scores, expected)


def test_the_page_has_the_rows_that_are_tried():
    """The rows and answers of the page are those of the tests above."""
    page = (DOCS / "sklearn.md").read_text()
    rows = re.findall(r"^\| (.+?) \| (yes|no|in part) \|", page, flags=re.MULTILINE)
    assert {name.replace("`", ""): answer for name, answer in rows} == TRIED
