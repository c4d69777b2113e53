"""Checks of copies: pickles, dumps and files compute what the estimator does."""

import copy
import pickle
import tempfile
from pathlib import Path
from typing import Any

import joblib
from sklearn.base import clone
from sklearn.utils import get_tags

from ..persistence import load_model, save_model
from ._comparing import (
    errors_fail,
    estimators_in,
    fitted,
    is_composition,
    outputs,
    require,
    require_same,
    skip,
)
from ._given import Given


def _require_equal_copy(estimator: Any, copied: Any, given: Given, how: str) -> None:
    """Fail unless a copy has the class, parameters and outputs of an estimator."""
    require(type(copied) is type(estimator), f"{how} changes the class")
    names = list(copied.get_params())
    require(names == list(estimator.get_params()), f"{how} changes the parameters")
    with errors_fail(f"{how} gives an estimator that fails"):
        found = outputs(copied, given.X)
    require_same(found, outputs(estimator, given.X), f"{how} changes the output")


def check_pickle(estimator: Any, given: Given) -> None:
    """A fitted and used estimator can be pickled, and computes the same."""
    estimator = fitted(estimator, given)
    outputs(estimator, given.X)
    with errors_fail("a fitted estimator cannot be pickled"):
        restored = pickle.loads(pickle.dumps(estimator))
    _require_equal_copy(estimator, restored, given, "pickling")


def check_pickle_before_fit(estimator: Any, given: Given) -> None:
    """An estimator that is not fitted can be pickled, and learns the same."""
    with errors_fail("an estimator that is not fitted cannot be pickled"):
        restored = pickle.loads(pickle.dumps(clone(estimator)))
    restored.fit(given.X, given.y)
    _require_equal_copy(fitted(estimator, given), restored, given, "pickling")


def check_deepcopy(estimator: Any, given: Given) -> None:
    """A deep copy of a fitted estimator computes the same."""
    estimator = fitted(estimator, given)
    with errors_fail("a fitted estimator cannot be copied"):
        copied = copy.deepcopy(estimator)
    _require_equal_copy(estimator, copied, given, "copying")


def check_copies_are_independent(estimator: Any, given: Given) -> None:
    """A fit of a copy does not change the fitted estimator."""
    if is_composition(estimator):
        skip("a shallow copy of a pipeline or union shares its steps")
    estimator = fitted(estimator, given)
    expected = outputs(estimator, given.X)
    copy.copy(estimator).fit(*given.take(range(len(given.images) - 1)))
    message = "a fit of a shallow copy changes the outputs of the estimator"
    require_same(outputs(estimator, given.X), expected, message)


def check_joblib_dump(estimator: Any, given: Given) -> None:
    """A fitted estimator can be dumped by joblib, and loaded as memory maps."""
    estimator = fitted(estimator, given)
    with tempfile.TemporaryDirectory() as folder:
        path = str(Path(folder) / "estimator.joblib")
        with errors_fail("joblib cannot dump and load a fitted estimator"):
            joblib.dump(estimator, path)
            loaded = joblib.load(path)
            mapped = joblib.load(path, mmap_mode="r")
        _require_equal_copy(estimator, loaded, given, "joblib.dump")
        how = "loading as memory maps"
        _require_equal_copy(estimator, mapped, given, how)
        del mapped


def _save_and_load(estimator: Any, folder: str) -> Any:
    """Save a fitted estimator without pickle, and load it."""
    path = Path(folder) / "estimator.zoomout"
    classes = {type(part) for part in estimators_in(estimator)}
    if any(
        callable(value) and not hasattr(value, "get_params")
        for value in estimator.get_params().values()
    ):
        skip("a parameter of it is code, which is in no model file")
    with errors_fail("save_model cannot save a fitted estimator"):
        save_model(estimator, path)
    with errors_fail("load_model cannot load what save_model saved"):
        return load_model(path, trusted=classes)


def _skip_stateless(estimator: Any) -> None:
    """`save_model` saves fitted estimators only."""
    if not get_tags(estimator).requires_fit and not vars(clone(estimator)):
        skip("it has neither parameters nor a fit to save")


def check_save_model(estimator: Any, given: Given) -> None:
    """`save_model` and `load_model` give an estimator that computes the same."""
    _skip_stateless(estimator)
    estimator = fitted(estimator, given)
    with tempfile.TemporaryDirectory() as folder:
        loaded = _save_and_load(estimator, folder)
    _require_equal_copy(estimator, loaded, given, "save_model")


def check_fit_of_loaded_model(estimator: Any, given: Given) -> None:
    """What `load_model` returns learns the same again."""
    _skip_stateless(estimator)
    estimator = fitted(estimator, given)
    with tempfile.TemporaryDirectory() as folder:
        loaded = _save_and_load(estimator, folder)
    with errors_fail("a loaded estimator cannot be fitted"):
        again = clone(loaded).fit(given.X, given.y)
    _require_equal_copy(estimator, again, given, "a fit after load_model")
