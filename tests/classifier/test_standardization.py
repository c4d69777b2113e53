"""Standardization and checks of the columns of a table."""

import numpy as np
import pytest
from labeled_tables import make_classifier, with_values
from sklearn.ensemble import RandomForestClassifier


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
