"""Checks of what every estimator of this package must do.

scikit-learn's ``check_estimator`` uses tables of numbers, so it skips nearly all of its
checks for estimators whose input is a list of images. These checks do the same with
images, superpixels and feature tables. Each takes an unfitted estimator, an input ``X``
of at least three images and the masks ``y``. It does not change them, and raises
AssertionError if the estimator is wrong.
"""

import copy
import pickle
import random
from contextlib import contextmanager

import joblib
import numpy as np
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.utils import _safe_indexing, get_tags
from sklearn.utils.validation import check_is_fitted

from sklearn_zoomout import FeatureTable, Superpixels

# Products of another number of rows may round differently in float32.
ROUNDING = {"rtol": 1e-4, "atol": 1e-5}


def per_image(output):
    """Return an estimator's output as one array per image."""
    if isinstance(output, Superpixels):
        return [segmented.segments for segmented in output]
    if isinstance(output, FeatureTable):
        return np.split(output.to_numpy(), output.row_offsets[1:-1])
    return list(output)


def content(X):
    """Return a digest of the input, which an estimator must not change."""
    images = [s.image for s in X] if isinstance(X, Superpixels) else []
    return joblib.hash([images, [np.array(values) for values in per_image(X)]])


def output_methods(estimator):
    """Return the names of the methods that return something for each image."""
    names = ("transform", "predict", "predict_proba")
    return [name for name in names if hasattr(estimator, name)]


def outputs(estimator, X):
    """Return the outputs for X: one array per method and image."""
    return [
        values
        for name in output_methods(estimator)
        for values in per_image(getattr(estimator, name)(X))
    ]


def assert_same(actual, expected, message, **tolerance):
    """Assert that two lists of arrays agree, exactly unless told otherwise."""
    tolerance = {"rtol": 0, "atol": 0} | tolerance
    assert len(actual) == len(expected), message
    for one, other in zip(actual, expected, strict=True):
        np.testing.assert_allclose(one, other, err_msg=message, **tolerance)


@contextmanager
def errors_as_assertions(message):
    """Turn any error in the block into an AssertionError with this message."""
    try:
        yield
    except Exception as error:
        raise AssertionError(f"{message}: {error!r}") from error


def global_random_states():
    """Return a digest of the random states that belong to the user."""
    import torch

    return joblib.hash(
        [random.getstate(), np.random.get_state(), torch.get_rng_state().numpy()]
    )


def check_init_only_assigns(estimator, X, y):
    """__init__ stores every argument without a copy, a conversion or a check."""
    given = {name: object() for name in estimator.get_params(deep=False)}
    with errors_as_assertions("__init__ looks at its arguments"):
        built = vars(type(estimator)(**given))
    assert set(built) == set(given), f"__init__ sets {set(built) ^ set(given)}"
    for name, value in given.items():
        assert built[name] is value, f"__init__ changes {name}"


def check_params_round_trip(estimator, X, y):
    """set_params(**get_params()) changes nothing, and each parameter can be set."""
    before = estimator.get_params(deep=False)
    estimator.set_params(**before)
    after = estimator.get_params(deep=False)
    for name, value in before.items():
        assert after[name] is value, f"set_params changes {name}"
    for name in before:
        mark = object()
        changed = clone(estimator).set_params(**{name: mark})
        assert changed.get_params(deep=False)[name] is mark, f"{name} cannot be set"


def check_clone(estimator, X, y):
    """A clone of a fitted estimator has its parameters and nothing that it learned."""
    fitted = copy.deepcopy(estimator).fit(X, y)
    cloned = clone(fitted)
    assert set(vars(cloned)) == set(vars(clone(estimator))), "clone keeps learned state"
    expected = joblib.hash(estimator.get_params())
    assert joblib.hash(cloned.get_params()) == expected, "clone changes parameters"


def check_fit_returns_self(estimator, X, y):
    """Calls can be chained: fit returns the estimator itself."""
    estimator = clone(estimator)
    assert estimator.fit(X, y) is estimator, "fit does not return self"


def check_fit_keeps_params(estimator, X, y):
    """fit does not change the parameters."""
    estimator = clone(estimator)
    before = estimator.get_params()
    digest = joblib.hash(before)
    estimator.fit(X, y)
    after = estimator.get_params()
    assert set(after) == set(before), "fit changes the parameters"
    for name, value in before.items():
        assert after[name] is value, f"fit replaces {name}"
    assert joblib.hash(after) == digest, "fit changes a parameter in place"


def check_input_unchanged(estimator, X, y):
    """No method changes images, features or masks."""
    before = content(X), joblib.hash(y)
    estimator = clone(estimator).fit(X, y)
    outputs(estimator, X)
    assert (content(X), joblib.hash(y)) == before, "fit or transform changes its input"


def check_fitted_names(estimator, X, y):
    """Fitted attributes have a trailing underscore, and the estimator is fitted."""
    estimator = clone(estimator)
    before = set(vars(estimator))
    estimator.fit(X, y)
    check_is_fitted(estimator)
    learned = set(vars(estimator)) - before
    wrong = [name for name in learned if name[0] != "_" and name[-1] != "_"]
    assert not wrong, f"fit sets {wrong} without a trailing underscore"


def check_not_fitted(estimator, X, y):
    """An estimator that learns raises NotFittedError before fit."""
    if not get_tags(estimator).requires_fit:
        return
    for name in output_methods(estimator):
        message = f"{name} before fit must raise NotFittedError"
        with errors_as_assertions(message):
            try:
                getattr(clone(estimator), name)(X)
            except NotFittedError:
                continue
        raise AssertionError(f"{message}, got no error")


def check_one_output_per_image(estimator, X, y):
    """Samples are images: every output has one item per image."""
    estimator = clone(estimator).fit(X, y)
    for name in output_methods(estimator):
        for n_images in (len(X), 1):
            output = getattr(estimator, name)(_safe_indexing(X, np.arange(n_images)))
            message = f"{name} returns {len(output)} items for {n_images} images"
            assert len(output) == n_images, message


def check_outputs_are_finite(estimator, X, y):
    """Outputs of valid images hold no NaN or infinity."""
    for values in outputs(clone(estimator).fit(X, y), X):
        assert np.isfinite(values).all(), "an output holds NaN or infinity"


def check_feature_names(estimator, X, y):
    """Every column has a name of its own."""
    if not hasattr(estimator, "get_feature_names_out"):
        return
    estimator = clone(estimator).fit(X, y)
    table, names = estimator.transform(X), estimator.get_feature_names_out()
    if not isinstance(table, FeatureTable):
        assert len(names) == 1, "an output without columns has one name"
        return
    message = f"{len(names)} names for {table.n_columns} columns"
    assert len(names) == table.n_columns, message
    assert len(set(names)) == len(names), "two columns have the same name"
    columns = [column.partition("__")[2] for column in table.columns]
    assert columns == list(names), "the table names its columns otherwise"


def check_order_of_images(estimator, X, y):
    """The output of an image does not depend on the other images."""
    estimator = clone(estimator).fit(X, y)
    order = np.roll(np.arange(len(X)), 1)
    for name in output_methods(estimator):
        method = getattr(estimator, name)
        expected = [per_image(method(X))[i] for i in order]
        moved = per_image(method(_safe_indexing(X, order)))
        assert_same(moved, expected, f"{name} depends on the order", **ROUNDING)
        alone = per_image(method(_safe_indexing(X, order[:1])))
        assert_same(alone, expected[:1], f"{name} depends on other images", **ROUNDING)


def check_fit_transform(estimator, X, y):
    """fit_transform returns the same as fit and then transform."""
    if not hasattr(estimator, "fit_transform"):
        return
    together = per_image(clone(estimator).fit_transform(X, y))
    apart = per_image(clone(estimator).fit(X, y).transform(X))
    assert_same(together, apart, "fit_transform differs from fit().transform()")


def check_repeated_output(estimator, X, y):
    """A second call returns the same."""
    estimator = clone(estimator).fit(X, y)
    message = "the second output differs from the first"
    assert_same(outputs(estimator, X), outputs(estimator, X), message)


def check_repeated_fit(estimator, X, y):
    """A second fit forgets the first, and an integer seed determines the result."""
    once = clone(estimator).fit(X, y)
    keep = np.arange(len(X) - 1)
    twice = clone(estimator).fit(_safe_indexing(X, keep), _safe_indexing(y, keep))
    twice.fit(X, y)
    message = "a second fit differs from a fresh one"
    assert_same(outputs(twice, X), outputs(once, X), message)


def check_pickle(estimator, X, y):
    """A fitted and used estimator can be pickled, and computes the same."""
    estimator = clone(estimator).fit(X, y)
    expected = outputs(estimator, X)
    with errors_as_assertions("a fitted estimator cannot be pickled"):
        restored = pickle.loads(pickle.dumps(estimator))
    assert_same(outputs(restored, X), expected, "pickling changes the output")


def check_n_jobs(estimator, X, y):
    """The number of jobs does not change the result."""
    if "n_jobs" not in estimator.get_params(deep=False):
        return
    one, two = (clone(estimator).set_params(n_jobs=n).fit(X, y) for n in (1, 2))
    assert_same(outputs(two, X), outputs(one, X), "n_jobs changes the output")


def check_global_random_state(estimator, X, y):
    """Global random states are neither set nor used."""
    before = global_random_states()
    outputs(clone(estimator).fit(X, y), X)
    assert global_random_states() == before, "a global random state is used or set"


CHECKS = [
    check_init_only_assigns,
    check_params_round_trip,
    check_clone,
    check_fit_returns_self,
    check_fit_keeps_params,
    check_input_unchanged,
    check_fitted_names,
    check_not_fitted,
    check_one_output_per_image,
    check_outputs_are_finite,
    check_feature_names,
    check_order_of_images,
    check_fit_transform,
    check_repeated_output,
    check_repeated_fit,
    check_pickle,
    check_n_jobs,
    check_global_random_state,
]
