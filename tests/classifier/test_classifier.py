"""The classifier, on small tables whose columns tell the classes apart."""

import io
import pickle
import threading

import joblib
import numpy as np
import pytest
import torch
from sklearn import config_context
from sklearn.base import clone, is_classifier
from sklearn.dummy import DummyClassifier
from sklearn.ensemble import RandomForestClassifier, StackingClassifier
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.model_selection import GridSearchCV, cross_val_predict, cross_validate
from sklearn.neighbors import KNeighborsClassifier
from sklearn.svm import LinearSVC
from sklearn.tree import DecisionTreeClassifier
from skorch.callbacks import Callback, EarlyStopping, LRScheduler

from sklearn_zoomout import (
    FeatureTable,
    SegmentedImage,
    Superpixels,
    ZoomoutClassifier,
)
from sklearn_zoomout.exceptions import AbsentClassWarning, EmptyMaskWarning
from sklearn_zoomout.metrics import mean_iou, mean_iou_scorer, pixel_accuracy_scorer
from sklearn_zoomout.table import Block

LABELS = np.array([10, 20, 255])


def make_data(labels=LABELS, n_images=6, noise=0.3, dtype=np.float32, seed=0):
    """Images of 24 square superpixels, whose features are their class plus noise."""
    rng = np.random.default_rng(seed)
    items, masks, codes = [], [], []
    for i in range(n_images):
        height, width = 4, 6 + i % 2
        segments = np.arange(height * width).reshape(height, width)
        segments = segments.repeat(3, axis=0).repeat(3, axis=1)
        items.append(SegmentedImage(np.zeros((*segments.shape, 3)), segments))
        code = rng.choice(len(labels), height * width, p=[0.6, 0.3, 0.1])
        code[:3] = [0, 1, 2]
        codes.append(code)
        masks.append(labels[code][segments])
    code = np.concatenate(codes)
    values = np.eye(3)[code] * 5 + rng.normal(0, noise, (len(code), 3))
    per_image = rng.normal(0, 1, (n_images, 2))
    blocks = [
        Block("a", ("x", "y", "z"), values.astype(dtype)),
        Block("b", ("u", "v"), per_image.astype(dtype), per_image=True),
    ]
    return FeatureTable(Superpixels(items), blocks), masks


def make_classifier(**params):
    defaults = {
        "hidden_units": (8,),
        "learning_rate": 0.02,
        "batch_size": 32,
        "max_epochs": 15,
        "random_state": 0,
    }
    return ZoomoutClassifier(**defaults | params)


@pytest.fixture(scope="module")
def data():
    return make_data()


@pytest.fixture(scope="module")
def fitted(data):
    return make_classifier().fit(*data)


def with_values(table, function):
    """The same table with changed values of its first block."""
    first, *others = table.blocks
    values = function(first.values.copy())
    block = Block(first.name, first.columns, values, first.per_image)
    return FeatureTable(table.superpixels, [block, *others])


def test_learns_and_paints(data, fitted):
    """Any labels come back as label maps of every image's own size."""
    table, masks = data
    predicted = fitted.predict(table)
    assert predicted.shape == (6,)
    assert predicted.dtype == object
    assert [p.shape for p in predicted] == [m.shape for m in masks]
    assert all(p.dtype == np.int64 for p in predicted)
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


def test_features_need_no_common_scale(data):
    """Standardization makes up for units that differ by many orders."""
    table, masks = data
    factors = np.array([1e-6, 1e6, 1.0], np.float32)
    table = with_values(table, lambda v: v * factors + 100 * factors)
    assert make_classifier().fit(table, masks).score(table, masks) > 0.95


def test_rare_bin_does_not_explode(data, fitted):
    """A column filled in one training row cannot upset a prediction."""
    table, masks = data

    def fill_one(values):
        values[:, 2] = 0
        values[5, 2] = 1
        return values

    classifier = make_classifier().fit(with_values(table, fill_one), masks)
    # 156 rows: the value 1 is 12 standard deviations off, the value 1000 many more.
    near, far = (
        classifier.predict_superpixel_proba(
            with_values(table, lambda v, x=x: np.where([0, 0, 1], x, v))
        )
        for x in (np.float32(1), np.float32(1000))
    )
    np.testing.assert_allclose(near, far, rtol=1e-4)


def test_constant_column(data):
    """A column without any spread is harmless."""
    table, masks = data
    table = with_values(table, lambda v: np.where([0, 0, 1], np.float32(0.1), v))
    assert np.isfinite(
        make_classifier().fit(table, masks).predict_superpixel_proba(table)
    ).all()


def test_without_standardization(data):
    """standardize=False trains on the values as they are."""
    table, masks = data
    classifier = make_classifier(standardize=False).fit(table, masks)
    assert classifier.mean_ is None
    assert classifier.score(table, masks) > 0.95


@pytest.mark.parametrize("hidden_units", [(), (4,), [8, 8], np.array([8])])
def test_hidden_units(data, hidden_units):
    """From a linear softmax to two hidden layers."""
    table, masks = data
    classifier = make_classifier(hidden_units=hidden_units, dropout=0.1, max_epochs=25)
    assert classifier.fit(table, masks).score(table, masks) > 0.9
    assert len(classifier.net_.module_.layers) == len(hidden_units) + 1


# Labels


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


# Weights of the classes


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


# Bad features and parameters


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_feature_that_is_not_finite(data, fitted, value):
    """It is refused in fit and in predict, naming image, superpixel and column."""
    table, masks = data
    row = table.row_offsets[3] + 2

    def spoil(values):
        values[row, 1] = value
        return values

    spoiled = with_values(table, spoil)
    message = rf"images\[3\]: feature 'a__y' of superpixel 2 is {value}"
    with pytest.raises(ValueError, match=message):
        make_classifier().fit(spoiled, masks)
    with pytest.raises(ValueError, match=message):
        make_classifier(standardize=False).fit(spoiled, masks)
    with pytest.raises(ValueError, match=message):
        fitted.predict(spoiled)
    forest = make_classifier(estimator=RandomForestClassifier(2)).fit(table, masks)
    with pytest.raises(ValueError, match=message):
        forest.predict(spoiled)


def test_nan_in_held_out_images(data):
    """Images held out for validation are looked at as well."""
    table, masks = data
    for image in range(len(table)):

        def spoil(values, row=table.row_offsets[image]):
            values[row, 0] = np.nan
            return values

        with pytest.raises(ValueError, match=rf"images\[{image}\]: feature 'a__x'"):
            make_classifier(validation_fraction=0.5).fit(
                with_values(table, spoil), masks
            )


def test_other_columns(data, fitted):
    """Columns that differ from those of fit are refused with the difference."""
    table, _ = data
    with pytest.raises(ValueError, match="2 missing: b__u, b__v"):
        fitted.predict(table.select(["a"]))
    more = np.concatenate([table, with_values(table, np.copy).select(["b"])], axis=1)
    with pytest.raises(ValueError, match="the 5 feature columns of fit, got 7"):
        fitted.predict(more)
    order = np.concatenate([table.select(["b"]), table.select(["a"])], axis=1)
    with pytest.raises(ValueError, match="the same in another order"):
        fitted.predict(order)


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


def test_training_that_diverges(data):
    """NaN in training is an error at the epoch that has it, and nothing is fitted."""
    classifier = make_classifier(learning_rate=1e38, hidden_units=(8, 8))
    with pytest.raises(
        ValueError, match=r"became (nan|inf|NaN or infinite) in epoch \d"
    ):
        classifier.fit(*data)
    with pytest.raises(NotFittedError):
        classifier.predict(data[0])


class Interrupt(Callback):
    """Interrupts training as Ctrl-C does."""

    def __init__(self, event):
        self.event = event

    def on_batch_end(self, net, **kwargs):
        if self.event == "batch":
            raise KeyboardInterrupt

    def on_epoch_end(self, net, **kwargs):
        if self.event == "epoch":
            raise KeyboardInterrupt


@pytest.mark.parametrize("event", ["batch", "epoch"])
def test_interrupt_is_raised_again(data, event):
    """After Ctrl-C the classifier is not fitted."""
    classifier = make_classifier(callbacks=[Interrupt(event)])
    with pytest.raises(KeyboardInterrupt):
        classifier.fit(*data)
    with pytest.raises(NotFittedError):
        classifier.predict(data[0])


def test_interrupted_refit_is_not_fitted(data):
    """Neither is a classifier that was fitted before, with other parameters."""
    classifier = make_classifier(max_epochs=1).fit(*data)
    with pytest.raises(KeyboardInterrupt):
        classifier.set_params(callbacks=[Interrupt("epoch")]).fit(*data)
    with pytest.raises(NotFittedError):
        classifier.predict(data[0])


# Determinism and state


def test_same_seed_same_network(data):
    """An integer random_state gives the same network, dropout and all."""
    table, masks = data
    first, second, other = (
        make_classifier(dropout=0.5, validation_fraction=0.3, random_state=seed)
        .fit(table, masks)
        .predict_superpixel_proba(table)
        for seed in (3, 3, 4)
    )
    np.testing.assert_array_equal(first, second)
    assert not np.array_equal(first, other)


def test_global_generators_are_left_alone(data):
    """Neither torch's nor numpy's global generator is moved."""
    torch_state, numpy_state = torch.random.get_rng_state(), np.random.get_state()
    make_classifier(dropout=0.5).fit(*data)
    assert torch.equal(torch.random.get_rng_state(), torch_state)
    np.testing.assert_array_equal(np.random.get_state()[1], numpy_state[1])


def test_fits_in_threads_do_not_disturb_each_other(data):
    """Two fits at once give what each gives alone."""
    table, masks = data
    expected = make_classifier(dropout=0.5).fit(table, masks)
    models = [make_classifier(dropout=0.5) for _ in range(3)]
    threads = [threading.Thread(target=m.fit, args=data) for m in models]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for model in models:
        np.testing.assert_array_equal(
            model.predict_superpixel_proba(table),
            expected.predict_superpixel_proba(table),
        )


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


# Callbacks and validation


def test_early_stopping(data):
    """The callback reaches skorch, and sees the loss of held-out images."""
    table, masks = data
    callback = EarlyStopping(patience=2, threshold=0.5)
    model = make_classifier(
        callbacks=[callback], validation_fraction=0.3, max_epochs=100
    ).fit(table, masks)
    assert 3 <= len(model.history_) < 100
    assert all(np.isfinite(epoch["valid_loss"]) for epoch in model.history_)
    assert model.score(table, masks) > 0.5


def test_early_stopping_without_validation(data):
    """A callback that monitors what is not computed is refused."""
    with pytest.raises(ValueError, match="EarlyStopping monitors 'valid_loss'"):
        make_classifier(callbacks=[EarlyStopping()]).fit(*data)
    by_loss = EarlyStopping("train_loss", patience=2, threshold=0.5)
    model = make_classifier(callbacks=[("stop", by_loss)], max_epochs=100).fit(*data)
    assert len(model.history_) < 100


def test_learning_rate_schedule(data):
    """skorch's scheduler changes the learning rate of the optimizer."""
    schedule = LRScheduler("StepLR", step_size=1, gamma=0.5, event_name="rate")
    model = make_classifier(callbacks=[schedule], max_epochs=3).fit(*data)
    assert [e["rate"] for e in model.history_] == pytest.approx([0.02, 0.01, 0.005])


def test_validation_fraction_is_of_images(data):
    """Whole images are held out, and take no part in the standardization."""
    table, masks = data
    model = make_classifier(validation_fraction=0.5, max_epochs=1).fit(table, masks)
    means = [
        table[list(images)].mean_and_scale()[0]
        for images in np.ndindex(*[6] * 3)
        if list(images) == sorted(set(images))
    ]
    assert any(np.allclose(mean, model.mean_, atol=1e-6) for mean in means)


def test_validation_that_leaves_nothing(data):
    """One image cannot be split."""
    table, masks = data
    with pytest.raises(ValueError, match="leaves none to train on"):
        make_classifier(validation_fraction=0.5).fit(table[:1], masks[:1])


def test_verbose(data, capsys):
    """Nothing is printed by default, and every epoch's losses if asked."""
    make_classifier(max_epochs=2).fit(*data)
    assert capsys.readouterr().out == ""
    make_classifier(max_epochs=2, verbose=1).fit(*data)
    assert "train_loss" in capsys.readouterr().out


class InterruptedStopping(EarlyStopping):
    """Ctrl-C arrives while it decides whether to stop."""

    def on_epoch_end(self, net, **kwargs):
        super().on_epoch_end(net, **kwargs)
        if len(net.history) == 3:
            raise KeyboardInterrupt


@pytest.mark.parametrize("patience", [2, 50])
def test_interrupt_within_early_stopping_is_an_interrupt(data, patience):
    """Ctrl-C is raised again, even in the epoch in which training would stop."""
    callback = InterruptedStopping("train_loss", patience=patience, threshold=0.9)
    classifier = make_classifier(callbacks=[callback])
    with pytest.raises(KeyboardInterrupt):
        classifier.fit(*data)
    assert not hasattr(classifier, "classes_")
    assert callback.patience == patience


def test_early_stopping_restores_the_best_weights(data):
    """With load_best the net is the one of the epoch with the lowest loss."""
    callback = EarlyStopping(patience=3, threshold=0, load_best=True)
    model = make_classifier(
        callbacks=[callback],
        validation_fraction=0.3,
        learning_rate=0.3,
        max_epochs=60,
    ).fit(*data)
    best = callback.best_epoch_
    losses = [epoch["valid_loss"] for epoch in model.history_]
    assert best == 1 + np.argmin(losses) == len(losses) - 3
    until_best = clone(model).set_params(callbacks=None, max_epochs=best).fit(*data)
    np.testing.assert_array_equal(
        model.predict_superpixel_proba(data[0]),
        until_best.predict_superpixel_proba(data[0]),
    )


def test_early_stopping_tells_why(data, capsys):
    """With verbose, as skorch does."""
    callback = EarlyStopping("train_loss", patience=2, threshold=0.9)
    make_classifier(callbacks=[callback], verbose=1).fit(*data)
    expected = "Stopping since train_loss has not improved in the last 2 epochs."
    assert expected in capsys.readouterr().out


class GrowingPatience(EarlyStopping):
    """Becomes more patient in the second epoch."""

    def on_epoch_end(self, net, **kwargs):
        super().on_epoch_end(net, **kwargs)
        if len(net.history) == 2:
            self.patience = 5


def test_early_stopping_may_change_its_patience(data):
    """A subclass sets it while it is called."""
    callback = GrowingPatience("train_loss", patience=2, threshold=0.9)
    assert len(make_classifier(callbacks=[callback]).fit(*data).history_) == 6
    assert callback.patience == 5


def test_the_first_of_several_callbacks_stops(data):
    """Each EarlyStopping has its own patience."""
    callbacks = [EarlyStopping("train_loss", patience=k, threshold=0.9) for k in (7, 3)]
    classifier = make_classifier(callbacks=callbacks).fit(*data)
    assert len(classifier.history_) == 4


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


# Any classifier of scikit-learn


def test_a_classifier_of_classifiers(data):
    """It has `predict` only when it is fitted."""
    members = [("tree", DecisionTreeClassifier(max_depth=3, random_state=0))]
    stack = StackingClassifier(members, LogisticRegression(), cv=2)
    model = make_classifier(estimator=stack, class_weight=None).fit(*data)
    assert model.score(*data) > 0.5


@pytest.mark.parametrize(
    "estimator", [LogisticRegression(), RandomForestClassifier(20, random_state=0)]
)
def test_estimator(data, estimator):
    """It takes the place of the network, with the same outputs."""
    table, masks = data
    model = make_classifier(estimator=estimator).fit(table, masks)
    assert not hasattr(estimator, "classes_")
    assert model.classes_.tolist() == [10, 20, 255]
    assert model.score(table, masks) > 0.95
    proba = model.predict_proba(table)
    for p, labels in zip(proba, model.predict(table), strict=True):
        assert p.dtype == np.float32
        np.testing.assert_array_equal(model.classes_[p.argmax(axis=-1)], labels)


def test_estimator_gets_balanced_sample_weights():
    """The weights of equation (2) act as scikit-learn's balanced ones."""
    table, masks = make_data(noise=4.0)
    ours = make_classifier(estimator=LogisticRegression(max_iter=500)).fit(table, masks)
    theirs = LogisticRegression(max_iter=500, class_weight="balanced")
    plain = make_classifier(estimator=theirs, class_weight=None).fit(table, masks)
    coef, expected = ours.estimator_.coef_, plain.estimator_.coef_
    np.testing.assert_allclose(coef, expected, rtol=1e-3, atol=1e-4)


def test_estimator_without_sample_weight(data):
    """Weights that cannot be applied are refused, not forgotten."""
    table, masks = data
    model = make_classifier(estimator=KNeighborsClassifier(3))
    with pytest.raises(ValueError, match="KNeighborsClassifier.fit takes no sample_we"):
        model.fit(table, masks)
    assert model.set_params(class_weight=None).fit(table, masks).score(*data) > 0.95


def test_estimator_without_probabilities(data):
    """It predicts, and has no predict_proba."""
    table, masks = data
    model = make_classifier(estimator=LinearSVC()).fit(table, masks)
    assert model.score(table, masks) > 0.95
    assert not hasattr(model, "predict_proba")
    assert not hasattr(model, "predict_superpixel_proba")


def test_estimator_and_absent_class(data):
    """Its probability columns are those of classes_, 0 for the absent one."""
    table, masks = data
    with pytest.warns(AbsentClassWarning):
        model = make_classifier(
            estimator=LogisticRegression(), classes=[10, 15, 20, 255]
        )
        model.fit(table, masks)
    proba = model.predict_superpixel_proba(table)
    assert proba.shape[1] == 4
    assert (proba[:, 1] == 0).all()
    assert model.score(table, masks) > 0.95


def test_estimator_gets_standardized_rows(data):
    """It sees columns of mean 0 and deviation 1, unless standardize=False."""
    table, masks = data

    class Recorder(DummyClassifier):
        def fit(self, X, y, sample_weight=None):
            self.seen_ = X
            return super().fit(X, y, sample_weight)

    seen = make_classifier(estimator=Recorder()).fit(table, masks).estimator_.seen_
    np.testing.assert_allclose(seen.mean(axis=0), 0, atol=1e-5)
    np.testing.assert_allclose(seen.std(axis=0), 1, rtol=1e-4)
    raw = make_classifier(estimator=Recorder(), standardize=False).fit(table, masks)
    np.testing.assert_array_equal(raw.estimator_.seen_, table.to_numpy())


# In scikit-learn


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


def test_nested_parameters_of_the_estimator(data):
    """A search reaches the parameters of estimator."""
    table, masks = data
    model = make_classifier(estimator=DecisionTreeClassifier())
    grid = {"estimator__max_depth": [1, 5]}  # at depth 1 there are two leaves
    search = GridSearchCV(model, grid, cv=2).fit(table, masks)
    assert search.best_params_ == {"estimator__max_depth": 5}


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


def test_estimator_must_be_a_classifier(data):
    """A regressor is refused before it is trained."""
    with pytest.raises(ValueError, match="expected a classifier, got LinearRegression"):
        make_classifier(estimator=LinearRegression()).fit(*data)


def test_verbose_may_be_a_boolean(data):
    """As in scikit-learn; other numbers may not."""
    make_classifier(verbose=False).fit(*data)
    with pytest.raises(ValueError, match="'max_epochs'"):
        make_classifier(max_epochs=True).fit(*data)
