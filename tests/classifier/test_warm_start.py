"""Fits that begin with the weights of the fit before."""

import numpy as np
import pytest
from labeled_tables import make_classifier, make_data, with_values
from sklearn.base import clone


def train_loss(model):
    return model.history_[0]["train_loss"]


def strokes_of(masks, stop):
    """Masks with labels in the first rows of pixels only."""
    return [np.where(np.arange(len(m))[:, None] < stop, m, -1) for m in masks]


def test_training_continues(data):
    """The first epoch begins where the last fit ended."""
    model = make_classifier(warm_start=True, dropout=0.0).fit(*data)
    cold, end = train_loss(model), model.history_[-1]["train_loss"]
    model.fit(*data)
    assert train_loss(model) < 2 * end < cold / 2
    assert make_classifier(dropout=0.0).fit(*data).history_[0]["train_loss"] == cold


@pytest.mark.parametrize("standardize", [True, False])
def test_other_moments(standardize):
    """Added strokes change the means; the weights make up for it."""
    table, masks = make_data(noise=1.0)
    model = make_classifier(warm_start=True, standardize=standardize, max_epochs=30)
    model.fit(table, strokes_of(masks, 3))
    before, mean = model.predict_superpixel_proba(table), model.mean_
    # This rate is too small to change the weights.
    model.set_params(learning_rate=1e-12).fit(table, masks)
    assert not standardize or not np.allclose(model.mean_, mean)
    np.testing.assert_allclose(model.predict_superpixel_proba(table), before, atol=1e-3)


def test_the_solver_ends_where_a_cold_fit_ends():
    """A linear softmax with added strokes is that of a cold fit."""
    table, masks = make_data(noise=4.0)
    warm = make_classifier(hidden_units=(), max_epochs=None, warm_start=True)
    warm.fit(table, strokes_of(masks, 9)).fit(table, masks)
    cold = clone(warm).fit(table, masks)
    np.testing.assert_allclose(
        warm.predict_superpixel_proba(table),
        cold.predict_superpixel_proba(table),
        atol=2e-3,
    )


def test_a_network_is_trained_for_fewer_steps(data):
    """Half of them by default, and as many epochs as max_epochs says."""
    model = make_classifier(warm_start=True, max_epochs=None)
    assert len(model.fit(*data).history_) == 60  # 5 batches
    assert len(model.fit(*data).history_) == 30
    assert len(model.set_params(max_epochs=3).fit(*data).history_) == 3


def others(table, masks):
    """Changes after which the old weights mean nothing."""
    return {
        "classes": ({"classes": [10, 15, 20, 255]}, table),
        "columns": ({}, table.select(["a"])),
        "units": ({"hidden_units": (9,)}, table),
        "linear": ({"hidden_units": ()}, table),
        "cold": ({"warm_start": False}, table),
    }


@pytest.mark.filterwarnings("ignore::sklearn_zoomout.exceptions.AbsentClassWarning")
@pytest.mark.parametrize("what", ["classes", "columns", "units", "linear", "cold"])
def test_a_fit_that_begins_anew(data, what):
    """With other classes, columns or units the fit is that of a new classifier."""
    params, table = others(*data)[what]
    model = make_classifier(warm_start=True).fit(*data)
    model.set_params(**params).fit(table, data[1])
    fresh = make_classifier(**params).fit(table, data[1])
    np.testing.assert_array_equal(
        model.predict_superpixel_proba(table), fresh.predict_superpixel_proba(table)
    )


def test_a_fit_that_fails_leaves_none(data):
    """The next fit begins anew."""
    table, masks = data
    model = make_classifier(warm_start=True).fit(table, masks)
    broken = with_values(table, lambda values: values * np.nan)
    with pytest.raises(ValueError, match="must be finite"):
        model.fit(broken, masks)
    fresh = make_classifier().fit(table, masks)
    np.testing.assert_array_equal(
        model.fit(table, masks).predict_superpixel_proba(table),
        fresh.predict_superpixel_proba(table),
    )
