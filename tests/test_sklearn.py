"""The estimators within scikit-learn: pipelines, searches, cross-validation."""

import joblib
import numpy as np
import pytest
from sklearn import config_context
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import (
    GridSearchCV,
    KFold,
    cross_val_predict,
    cross_val_score,
    cross_validate,
)
from sklearn.pipeline import FeatureUnion, Pipeline

from sklearn_zoomout import (
    ConvnetRegionFeatures,
    GlobalFeatures,
    LocalFeatures,
    ProximalFeatures,
    SuperpixelSegmenter,
    ZoomoutClassifier,
)
from sklearn_zoomout.exceptions import AbsentClassWarning
from sklearn_zoomout.metrics import (
    class_accuracy_scorer,
    mean_iou_scorer,
    pixel_accuracy_scorer,
)


@pytest.fixture
def model():
    """A pipeline of four levels, with small images for the convnet."""
    dictionary = {"n_textons": 8, "n_words": 20, "random_state": 0}
    levels = [
        ("local", LocalFeatures(**dictionary)),
        ("proximal", ProximalFeatures(**dictionary)),
        ("distant", ConvnetRegionFeatures(input_size=64)),
        ("global", GlobalFeatures(crop_size=64)),
    ]
    classifier = ZoomoutClassifier(hidden_units=(8,), max_epochs=5, random_state=0)
    return Pipeline(
        [
            ("superpixels", SuperpixelSegmenter(n_segments=30)),
            ("zoomout", FeatureUnion(levels)),
            ("classifier", classifier),
        ]
    )


@pytest.fixture
def color_model(model):
    """A pipeline of two cheap levels."""
    return model.set_params(
        zoomout__local__descriptors=("color", "location"),
        zoomout__proximal__descriptors=("color",),
        zoomout__distant="drop",
        zoomout__global="drop",
    )


def assert_equal_maps(maps, others):
    """Assert that two sets of label maps are the same."""
    assert len(maps) == len(others)
    for one, other in zip(maps, others, strict=True):
        np.testing.assert_array_equal(one, other)


def assert_equal_tables(table, other):
    """Assert that two feature tables agree up to rounding."""
    assert table.columns == other.columns
    np.testing.assert_allclose(table.to_numpy(), other.to_numpy(), rtol=1e-4, atol=1e-5)


def test_pipeline_learns_the_examples(model, images, masks):
    """All four levels together learn four simple images nearly by heart."""
    model.set_params(classifier__max_epochs=40, classifier__learning_rate=1e-2)
    predicted = model.fit(images, masks).predict(images)
    agreement = [(y == p).mean() for y, p in zip(masks, predicted, strict=True)]
    assert np.mean(agreement) > 0.9
    assert model.score(images, masks) > 0.8


def test_predictions_are_maps_of_classes_and_of_probabilities(model, images, masks):
    """predict returns a label for each pixel, predict_proba K numbers of sum 1."""
    model.fit(images, masks)
    for image, labels, probabilities in zip(
        images, model.predict(images), model.predict_proba(images), strict=True
    ):
        assert labels.shape == image.shape[:2]
        assert probabilities.shape == (*labels.shape, 3)
        np.testing.assert_allclose(probabilities.sum(axis=2), 1, rtol=1e-5)
        best = model[-1].classes_[probabilities.argmax(axis=2)]
        np.testing.assert_array_equal(best, labels)


def test_columns_are_named_by_level(model, images, masks):
    """The union and the classifier have the same names of columns."""
    model.fit(images, masks)
    names = model["zoomout"].get_feature_names_out()
    np.testing.assert_array_equal(names, model[-1].feature_names_in_)
    assert len(names) == model[-1].n_features_in_
    levels = [name.partition("__")[0] for name in names]
    assert list(dict.fromkeys(levels)) == ["local", "proximal", "distant", "global"]


def test_grid_search_over_hidden_units(color_model, images, masks):
    """A search over the classifier refits the best candidate."""
    grid = {"classifier__hidden_units": [(), (8,), (8, 4)]}
    search = GridSearchCV(color_model, grid, cv=2, error_score="raise")
    search.fit(images, masks)
    scores = search.cv_results_["mean_test_score"]
    assert scores.shape == (3,)
    assert ((scores > 0) & (scores <= 1)).all()
    assert search.best_estimator_[-1].hidden_units in grid["classifier__hidden_units"]
    assert search.predict(images[:1])[0].shape == masks[0].shape


def test_grid_search_over_levels(model, images, masks):
    """Levels are dropped and replaced, as in the paper's ablation."""
    levels = ["drop", GlobalFeatures(crop_size=64)]
    search = GridSearchCV(
        model.set_params(zoomout__local="drop", zoomout__proximal="drop"),
        {"zoomout__distant": [*levels, model["zoomout"].transformer_list[2][1]]},
        scoring=mean_iou_scorer,
        cv=KFold(2),
        error_score="raise",
    ).fit(images, masks)
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()


def test_cross_validation_splits_images(color_model, images, masks):
    """Each of four folds scores the one image that it left out."""
    scores = cross_val_score(
        color_model, images, masks, cv=4, scoring=mean_iou_scorer, error_score="raise"
    )
    expected = []
    for i in range(4):
        rest = [j for j in range(4) if j != i]
        fitted = clone(color_model)
        fitted.fit([images[j] for j in rest], [masks[j] for j in rest])
        expected.append(fitted.score([images[i]], [masks[i]]))
    np.testing.assert_allclose(scores, expected)


def test_several_scores_at_once(color_model, images, masks):
    """A dictionary of scorers computes each measure of the paper in one run."""
    scoring = {
        "mean_iou": mean_iou_scorer,
        "pixel": pixel_accuracy_scorer,
        "class": class_accuracy_scorer,
    }
    result = cross_validate(
        color_model, images, masks, cv=2, scoring=scoring, error_score="raise"
    )
    for name in scoring:
        assert ((result[f"test_{name}"] > 0) & (result[f"test_{name}"] <= 1)).all()


def test_cross_val_predict_returns_each_image_in_its_place(color_model, images, masks):
    """Out-of-fold label maps come back in the order of the images."""
    predicted = cross_val_predict(color_model, images, masks, cv=2)
    fitted = clone(color_model).fit(images[2:], masks[2:])
    assert_equal_maps(predicted[:2], fitted.predict(images[:2]))
    assert [labels.shape for labels in predicted] == [mask.shape for mask in masks]


def test_clone_is_unfitted_and_equal(color_model, images, masks):
    """A clone of a fitted pipeline learns the same again."""
    color_model.fit(images, masks)
    again = clone(color_model).fit(images, masks)
    assert_equal_maps(again.predict(images), color_model.predict(images))


def test_parameters_of_every_step_can_be_set(model):
    """set_params reaches superpixels, levels and classifier."""
    changes = {
        "superpixels__compactness": 10.0,
        "zoomout__distant__pooling": "crop",
        "zoomout__local__n_words": 30,
        "classifier__class_weight": None,
    }
    params = model.set_params(**changes).get_params()
    assert {name: params[name] for name in changes} == changes


def test_pandas_output_changes_nothing(color_model, images, masks):
    """scikit-learn may be set to return pandas frames."""
    expected = clone(color_model).fit(images, masks).predict(images)
    with config_context(transform_output="pandas"):
        predicted = clone(color_model).fit(images, masks).predict(images)
    assert_equal_maps(predicted, expected)


def test_fitted_pipeline_survives_joblib(model, images, masks, tmp_path):
    """A pipeline dumped and loaded predicts the same, convnets included."""
    model.fit(images, masks)
    joblib.dump(model, tmp_path / "model.joblib")
    loaded = joblib.load(tmp_path / "model.joblib")
    assert_equal_maps(loaded.predict(images), model.predict(images))


def test_fitted_pipeline_leaves_the_images_behind(color_model, images, masks, tmp_path):
    """A dumped pipeline does not grow with the number of training images."""
    sizes = []
    for n_copies in (1, 10):
        color_model.set_params(classifier__batch_size=10_000)
        fitted = clone(color_model).fit(images * n_copies, masks * n_copies)
        joblib.dump(fitted, tmp_path / "model.joblib")
        sizes.append((tmp_path / "model.joblib").stat().st_size)
    assert sizes[1] < 1.05 * sizes[0]


def test_union_of_two_threads_gives_the_same(model, images):
    """Levels may be computed at the same time, convnets included."""
    superpixels = model["superpixels"].fit_transform(images)
    union = model["zoomout"]
    expected = clone(union).fit_transform(superpixels)
    with joblib.parallel_config("threading"):
        table = clone(union).set_params(n_jobs=2).fit_transform(superpixels)
    assert_equal_tables(table, expected)


@pytest.mark.slow
def test_union_of_two_processes_gives_the_same(color_model, images):
    """Tables from other processes are put side by side like others."""
    superpixels = color_model["superpixels"].fit_transform(images)
    union = color_model["zoomout"]
    expected = clone(union).fit_transform(superpixels)
    table = clone(union).set_params(n_jobs=2).fit_transform(superpixels)
    assert_equal_tables(table, expected)


def test_order_of_images_does_not_matter(model, images, masks):
    """Images in another order get the same labels."""
    model.fit(images, masks)
    order = [2, 0, 3, 1]
    expected = model.predict(images)
    moved = model.predict([images[i] for i in order])
    assert_equal_maps(moved, [expected[i] for i in order])


def test_same_seed_same_model(model, images, masks):
    """Two runs with the same random_state give the same probabilities."""
    one, other = (clone(model).fit(images, masks) for _ in range(2))
    assert_equal_maps(one.predict_proba(images), other.predict_proba(images))


def test_uint8_and_float_images_give_the_same_labels(model, images, masks):
    """A model fitted on images in 0..255 takes the same images in 0..1."""
    model.fit(images, masks)
    floats = [image / 255 for image in images]
    assert_equal_maps(model.predict(floats), model.predict(images))


def test_labels_of_any_value(color_model, images, masks):
    """Classes need not be 0..K-1, and masks may be of any integer type."""
    values = np.array([10, 20, 255])
    other = [values[mask].astype(np.uint8) for mask in masks]
    expected = clone(color_model).fit(images, masks).predict(images)
    predicted = color_model.fit(images, other).predict(images)
    np.testing.assert_array_equal(color_model[-1].classes_, values)
    assert_equal_maps(predicted, [values[labels] for labels in expected])


def test_sklearn_classifier_in_place_of_the_net(color_model, images, masks):
    """Any classifier of scikit-learn can label the superpixels."""
    color_model.set_params(classifier__estimator=LogisticRegression())
    assert color_model.fit(images, masks).score(images, masks) > 0.8


def test_fit_without_masks_says_what_to_do(color_model, images):
    """Masks are the second argument."""
    with pytest.raises(TypeError, match=r"masks: .* got none; call fit\(images, masks"):
        color_model.fit(images)


def test_scores_and_searches_with_metadata_routing(color_model, images, masks):
    """Pipelines of scikit-learn then pass weights to the score, which are None."""
    with config_context(enable_metadata_routing=True):
        assert color_model.fit(images, masks).score(images, masks) > 0.3
        scores = cross_val_score(color_model, images, masks, cv=2, error_score="raise")
        grid = {"classifier__hidden_units": [(4,)]}
        search = GridSearchCV(color_model, grid, cv=2, error_score="raise")
        search.fit(images, masks)
    assert len(scores) == 2 and 0 < search.best_score_ < 1


def test_masks_have_no_weights(color_model, images, masks):
    """A weight per image would be ignored otherwise."""
    color_model.fit(images, masks)
    with pytest.raises(ValueError, match="sample_weight: expected None"):
        color_model.score(images, masks, sample_weight=[1, 1, 1, 1])


@pytest.mark.parametrize("scorer", [None, mean_iou_scorer])
def test_a_class_of_one_image_needs_the_list_of_classes(
    color_model, images, masks, scorer
):
    """The error names the parameter, and with it the search goes on."""
    masks = [np.minimum(mask, 1) for mask in masks]
    masks[0][:20] = 2
    options = {"cv": 2, "scoring": scorer, "error_score": "raise"}
    with pytest.raises(ValueError, match=r"did not occur in fit.* classes=\["):
        cross_val_score(color_model, images, masks, **options)
    color_model.set_params(classifier__classes=[0, 1, 2])
    with pytest.warns(AbsentClassWarning):
        scores = cross_val_score(color_model, images, masks, **options)
    assert np.isfinite(scores).all()


def test_a_fold_without_labels_says_what_to_test_on(color_model, images, masks):
    """An image without a label has no score."""
    masks = [np.full_like(masks[0], -1), *masks[1:]]
    with pytest.raises(ValueError, match="test on images that have labels"):
        cross_val_score(color_model, images, masks, cv=KFold(4), error_score="raise")
