"""The classifier, on small tables whose columns tell the classes apart."""

import io
import pickle

import joblib
import numpy as np
import pytest
import torch
from labeled_tables import LABELS, make_classifier, make_data
from sklearn import config_context
from sklearn.base import clone, is_classifier
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, cross_val_predict, cross_validate
from sklearn.svm import LinearSVC
from skorch.callbacks import EarlyStopping

from sklearn_zoomout import ZoomoutClassifier
from sklearn_zoomout.metrics import mean_iou, mean_iou_scorer, pixel_accuracy_scorer


def test_learns_and_paints(data, fitted):
    """Any labels come back as label maps of every image's own size."""
    table, masks = data
    predicted = fitted.predict(table)
    assert predicted.shape == (6,)
    assert predicted.dtype == object
    assert [p.shape for p in predicted] == [m.shape for m in masks]
    assert all(p.dtype == np.uint8 for p in predicted)
    assert fitted.score(table, masks) > 0.95
    assert fitted.score(table, masks) == mean_iou(masks, predicted)


def test_generalizes(fitted):
    """Images that were not trained on are labeled as well."""
    table, masks = make_data(seed=1)
    assert fitted.score(table, masks) > 0.95


def test_fitted_attributes(data, fitted):
    """They describe the classes, the columns and the epochs."""
    table, masks = data
    assert fitted.classes_.tolist() == [10, 20, 255]
    assert fitted.class_frequency_.sum() == pytest.approx(1)
    pixels = np.concatenate([m.ravel() for m in masks])  # superpixels of equal size
    share = [(pixels == c).mean() for c in LABELS]
    np.testing.assert_allclose(fitted.class_frequency_, share)
    assert fitted.n_features_in_ == 5
    assert fitted.feature_names_in_.tolist() == ["a__x", "a__y", "a__z", "b__u", "b__v"]
    assert len(fitted.history_) == 15
    assert fitted.history_[-1]["train_loss"] < fitted.history_[0]["train_loss"]
    assert not hasattr(fitted, "estimator_")


def test_predict_is_the_argmax_of_predict_proba(data, fitted):
    """Probabilities are float32 maps that sum to 1, and predict takes the largest."""
    table, _ = data
    proba = fitted.predict_proba(table)
    assert proba.shape == (6,)
    for p, labels in zip(proba, fitted.predict(table), strict=True):
        assert p.dtype == np.float32
        assert p.shape == (*labels.shape, 3)
        np.testing.assert_allclose(p.sum(axis=-1), 1, rtol=1e-5)
        np.testing.assert_array_equal(fitted.classes_[p.argmax(axis=-1)], labels)


def test_superpixel_probabilities_are_those_of_the_pixels(data, fitted):
    """Rows are superpixels in the order of the table."""
    table, _ = data
    rows = fitted.predict_superpixel_proba(table)
    assert rows.shape == (table.n_rows, 3)
    start, stop = table.row_offsets[4:6]
    expected = rows[start:stop][table.superpixels[4].segments]
    np.testing.assert_array_equal(fitted.predict_proba(table)[4], expected)


def test_subset_of_images(data, fitted):
    """A view on some images gives their predictions."""
    table, _ = data
    every = fitted.predict_superpixel_proba(table)
    some = fitted.predict_superpixel_proba(table[[4, 1]])
    offsets = table.row_offsets
    expected = np.concatenate(
        [every[offsets[4] : offsets[5]], every[offsets[1] : offsets[2]]]
    )
    np.testing.assert_allclose(some, expected, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_feature_dtypes(dtype):
    """Features of any floating dtype train the network."""
    table, masks = make_data(dtype=dtype)
    assert make_classifier().fit(table, masks).score(table, masks) > 0.95


@pytest.mark.parametrize("hidden_units", [(), (4,), [8, 8], np.array([8])])
def test_hidden_units(data, hidden_units):
    """From a linear softmax to two hidden layers."""
    table, masks = data
    classifier = make_classifier(hidden_units=hidden_units, dropout=0.1, max_epochs=25)
    assert classifier.fit(table, masks).score(table, masks) > 0.9
    assert len(classifier.net_.module_.layers) == len(hidden_units) + 1


def test_input_that_is_no_table(data):
    """A matrix is refused with what to put before the classifier."""
    table, masks = data
    with pytest.raises(TypeError, match="expected a FeatureTable, got ndarray"):
        make_classifier().fit(table.to_numpy(), masks)


@pytest.mark.parametrize(
    "method", ["predict", "predict_proba", "predict_superpixel_proba"]
)
def test_not_fitted(data, method):
    """Everything but fit needs a fitted classifier."""
    table, masks = data
    with pytest.raises(NotFittedError):
        getattr(make_classifier(), method)(table)
    with pytest.raises(NotFittedError):
        make_classifier().score(table, masks)


@pytest.mark.parametrize(
    "params",
    [
        {"hidden_units": 8},
        {"hidden_units": (0,)},
        {"hidden_units": (8.5,)},
        {"hidden_units": (True,)},
        {"dropout": 1.0},
        {"class_weight": "balance"},
        {"class_weight": 1.5},
        {"class_weight": -0.5},
        {"class_weight": True},
        {"learning_rate": 0},
        {"weight_decay": -1.0},
        {"max_epochs": 0},
        {"max_epochs": True},
        {"batch_size": 2.5},
        {"standardize": 1},
        {"estimator": "forest"},
        {"validation_fraction": 1.0},
        {"callbacks": EarlyStopping()},
        {"device": 0},
        {"random_state": "zero"},
    ],
    ids=lambda params: "-".join(params),
)
def test_wrong_parameter(data, params):
    """Parameters are checked in fit, and the error names them."""
    with pytest.raises(ValueError, match=next(iter(params))):
        make_classifier(**params).fit(*data)


@pytest.mark.parametrize("device", ["cuda:77", "gpu"])
def test_device_that_is_not_there(data, device):
    """There is no silent fall back to the CPU."""
    with pytest.raises(ValueError, match=f"device='{device}'"):
        make_classifier(device=device).fit(*data)


def test_input_is_not_changed(data):
    """Neither features nor masks are written to."""
    table, masks = make_data()
    for mask in masks:
        mask.flags.writeable = False
    before = table.to_numpy()
    for block in table.blocks:
        block.values.flags.writeable = False
    make_classifier().fit(table, masks).predict(table)
    np.testing.assert_array_equal(table.to_numpy(), before)


def joblib_copy(model):
    file = io.BytesIO()
    joblib.dump(model, file)
    file.seek(0)
    return joblib.load(file)


@pytest.mark.parametrize(
    "duplicate", [joblib_copy, lambda m: pickle.loads(pickle.dumps(m))]
)
@pytest.mark.parametrize("estimator", [None, LogisticRegression()])
def test_pickling(data, duplicate, estimator):
    """A fitted classifier comes back whole, and predicts the same."""
    table, masks = data
    callbacks = [EarlyStopping(patience=5)]
    model = make_classifier(
        estimator=estimator, callbacks=callbacks, validation_fraction=0.3
    ).fit(table, masks)
    restored = duplicate(model)
    np.testing.assert_array_equal(
        restored.predict_superpixel_proba(table), model.predict_superpixel_proba(table)
    )


def test_pickle_holds_no_training_data():
    """Its size depends on the network, not on the number of images."""
    sizes = [
        len(pickle.dumps(make_classifier(max_epochs=1).fit(*make_data(n_images=n))))
        for n in (4, 40)
    ]
    assert sizes[1] < sizes[0] + 1000


def test_pickle_of_a_net_trained_elsewhere(data, fitted):
    """Where its device does not exist, it predicts on the CPU and says so."""
    table, _ = data
    moved = pickle.loads(pickle.dumps(fitted)).set_params(device="cuda:77")
    with pytest.warns(UserWarning, match="no device 'cuda:77' here.*on the CPU"):
        predicted = moved.predict_superpixel_proba(table)
    np.testing.assert_array_equal(predicted, fitted.predict_superpixel_proba(table))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_cuda(data):
    """Training and prediction on the GPU agree with the CPU's."""
    table, masks = data
    model = make_classifier(device="cuda", dropout=0.2, validation_fraction=0.3)
    model.fit(table, masks)
    assert model.score(table, masks) > 0.95
    on_gpu = model.predict_superpixel_proba(table)
    on_cpu = pickle.loads(pickle.dumps(model)).set_params(device="cpu")
    np.testing.assert_allclose(
        on_cpu.predict_superpixel_proba(table), on_gpu, atol=1e-4
    )


def test_clone_and_refit(data, fitted):
    """clone forgets the fit; a second fit replaces the first."""
    table, masks = data
    copy = clone(fitted)
    with pytest.raises(NotFittedError):
        copy.predict(table)
    copy.fit(table, masks)
    copy.set_params(estimator=LogisticRegression()).fit(table, masks)
    assert not hasattr(copy, "net_")
    assert copy.score(table, masks) > 0.95
    copy.set_params(estimator=None).fit(table, masks)
    assert not hasattr(copy, "estimator_")
    np.testing.assert_array_equal(
        copy.predict_superpixel_proba(table), fitted.predict_superpixel_proba(table)
    )


def test_parameters_changed_after_fit(data):
    """Prediction is by what was fitted, whatever the parameters are by then."""
    table, _ = data
    for before, after in [(None, LinearSVC()), (LogisticRegression(), None)]:
        model = make_classifier(estimator=before).fit(*data)
        expected = model.predict_superpixel_proba(table)
        model.set_params(estimator=after)
        np.testing.assert_array_equal(model.predict_superpixel_proba(table), expected)


def test_grid_search_over_a_table(data):
    """Features extracted once are searched over directly."""
    table, masks = data
    scoring = {"iou": mean_iou_scorer, "pixel": pixel_accuracy_scorer}
    search = GridSearchCV(
        make_classifier(),
        {"hidden_units": [(4,), (8,)], "learning_rate": [1e-6, 0.02]},
        cv=2,
        scoring=scoring,
        refit="iou",
    )
    search.fit(table, masks)
    assert search.best_params_["learning_rate"] == 0.02
    assert search.best_score_ > 0.9
    assert search.predict(table).shape == (6,)


def test_cross_val_predict(data):
    """Label maps of all folds come back in the order of the images."""
    table, masks = data
    predicted = cross_val_predict(make_classifier(), table, masks, cv=3)
    assert mean_iou(masks, predicted) > 0.9


def test_pandas_frame(data, fitted):
    """The frame that transform_output="pandas" makes of a table is accepted."""
    pd = pytest.importorskip("pandas")
    table, masks = data
    frame = pd.DataFrame(np.asarray(table), columns=table.columns)
    predicted = make_classifier().fit(frame, masks).predict(frame)
    for p, expected in zip(predicted, fitted.predict(table), strict=True):
        np.testing.assert_array_equal(p, expected)


def test_metadata_routing(data):
    """Training works with scikit-learn's metadata routing switched on."""
    with config_context(enable_metadata_routing=True):
        scores = cross_validate(make_classifier(), *data, cv=2, error_score="raise")
    assert (scores["test_score"] > 0.9).all()


def test_no_images(data, fitted):
    """Prediction of no images is no label maps."""
    table, _ = data
    assert fitted.predict(table[:0]).shape == (0,)


def test_is_no_classifier_for_splitting():
    """scikit-learn must not stratify images by their masks."""
    assert not is_classifier(ZoomoutClassifier())


def test_verbose_may_be_a_boolean(data):
    """As in scikit-learn; other numbers may not."""
    make_classifier(verbose=False).fit(*data)
    with pytest.raises(ValueError, match="'max_epochs'"):
        make_classifier(max_epochs=True).fit(*data)
