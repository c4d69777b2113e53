"""The linear softmax, fitted by a solver."""

import pickle

import numpy as np
import pytest
from labeled_tables import make_classifier, make_data, map_table
from sklearn.linear_model import LogisticRegression

from sklearn_zoomout.exceptions import AbsentClassWarning


def make_linear(**params):
    return make_classifier(**{"hidden_units": (), "max_epochs": None} | params)


@pytest.mark.parametrize("class_weight", ["balanced", 0.5, None, {10: 3.0, 255: 0.5}])
@pytest.mark.parametrize("standardize", [True, False])
def test_is_a_logistic_regression(class_weight, standardize):
    """With the class weights of equation (2), and C = 30 / n."""
    table, masks = make_data(noise=4.0)
    params = {"class_weight": class_weight, "standardize": standardize}
    linear = make_linear(**params).fit(table, masks)
    expected = make_linear(
        **params, estimator=LogisticRegression(C=30 / table.n_rows, max_iter=1000)
    ).fit(table, masks)
    np.testing.assert_allclose(
        linear.predict_superpixel_proba(table),
        expected.predict_superpixel_proba(table),
        atol=1e-3,
    )


def test_two_classes():
    """The solver has one row of weights for two classes."""
    table, masks = make_data(noise=4.0)
    masks = [np.where(mask == 255, 20, mask) for mask in masks]
    expected = LogisticRegression(C=30 / table.n_rows)
    params = {"class_weight": None}
    np.testing.assert_allclose(
        make_linear(**params).fit(table, masks).predict_superpixel_proba(table),
        make_linear(**params, estimator=expected)
        .fit(table, masks)
        .predict_superpixel_proba(table),
        atol=1e-3,
    )


def test_absent_class(data):
    """It has a column of zeros."""
    table, masks = data
    model = make_linear(classes=[10, 15, 20, 255])
    with pytest.warns(AbsentClassWarning):
        model.fit(table, masks)
    proba = model.predict_superpixel_proba(table)
    assert (proba[:, 1] == 0).all()
    assert model.score(table, masks) > 0.95


def test_attributes(data):
    """They are those of a network that was trained in one epoch."""
    model = make_linear(validation_fraction=0.3).fit(*data)
    assert model.hidden_units_ == ()
    (epoch,) = model.history_
    assert 0 < epoch["train_loss"] < 1 and 0 < epoch["valid_loss"] < 1
    again = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(
        again.predict_superpixel_proba(data[0]), model.predict_superpixel_proba(data[0])
    )


def test_seed_does_not_matter(data):
    """The solver begins at 0."""
    one, other = (
        make_linear(random_state=seed).fit(*data).predict_superpixel_proba(data[0])
        for seed in (0, 1)
    )
    np.testing.assert_array_equal(one, other)


def test_steps_where_they_are_asked_for(data, tmp_path):
    """With max_epochs or a schedule, and for a table in files, which it would copy."""
    table, masks = data
    assert len(make_linear(max_epochs=3).fit(table, masks).history_) == 3
    assert len(make_linear(schedule="constant").fit(table, masks).history_) > 1
    model = make_linear().fit(map_table(table, tmp_path), masks)
    assert len(model.history_) > 1
    assert model.score(table, masks) > 0.95
