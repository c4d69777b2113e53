"""What the checks compare, and how they fail: also where `assert` does nothing."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NoReturn
from unittest import SkipTest

import joblib
import numpy as np
from numpy.typing import NDArray
from sklearn.base import clone
from sklearn.utils.metaestimators import _BaseComposition

from ..superpixels import Superpixels
from ..table import FeatureTable, check_table
from ._given import Given

# Products of another number of rows may round differently in float32.
ROUNDING = {"rtol": 1e-4, "atol": 1e-5}
METHODS = ("transform", "predict", "predict_proba")


def require(condition: Any, message: str) -> None:
    """Fail with a message unless a condition holds."""
    if not condition:
        raise AssertionError(message)


def skip(reason: str) -> NoReturn:
    """Leave a check that does not apply to an estimator."""
    raise SkipTest(reason)


@contextmanager
def errors_fail(message: str) -> Iterator[None]:
    """Fail with a message where the body raises an error."""
    try:
        yield
    except (AssertionError, SkipTest):
        raise
    except Exception as error:
        raise AssertionError(f"{message}: {error!r}") from error


def require_refusal(
    call: Callable[[], Any],
    what: str,
    says: Sequence[str] = (),
    errors: tuple[type[Exception], ...] = (TypeError, ValueError),
) -> None:
    """Fail unless a call raises one of some errors, with some words in its message.

    Parameters
    ----------
    call : callable
        What is to raise the error.
    what : str
        What is to be refused, for the message.
    says : sequence of str
        What the message of the error has.
    errors : tuple of exception classes
        The errors that are right.
    """
    try:
        call()
    except errors as error:
        missing = [word for word in says if word not in str(error)]
        require(not missing, f"the error of {what} does not say {missing}: {error}")
        require(str(error).strip(), f"the error of {what} says nothing")
    except Exception as error:
        names = " or ".join(kind.__name__ for kind in errors)
        raise AssertionError(f"{what}: expected {names}, got {error!r}") from error
    else:
        raise AssertionError(f"{what}: expected an error, got none")


def output_methods(estimator: Any) -> list[str]:
    """Return the names of the methods that return something for each image."""
    return [name for name in METHODS if hasattr(estimator, name)]


def per_image(output: Any) -> list[NDArray[Any]]:
    """Return an output as one array per image."""
    if isinstance(output, Superpixels):
        return [segmented.segments for segmented in output]
    if hasattr(output, "iloc"):
        output = check_table(output)
    if isinstance(output, FeatureTable):
        return np.split(output.to_numpy(), output.row_offsets[1:-1])
    return [np.asarray(item) for item in output]


def outputs(estimator: Any, X: Any) -> list[NDArray[Any]]:
    """Return the outputs for some input, one array per method and image."""
    return [
        values
        for name in output_methods(estimator)
        for values in per_image(getattr(estimator, name)(X))
    ]


def fitted(estimator: Any, given: Given) -> Any:
    """Return a fitted clone."""
    return clone(estimator).fit(given.X, given.y)


def fitted_outputs(estimator: Any, X: Any, y: Any) -> list[NDArray[Any]]:
    """Return the outputs of a clone that is fitted to the same input."""
    return outputs(clone(estimator).fit(X, y), X)


def require_same(
    actual: Sequence[NDArray[Any]],
    expected: Sequence[NDArray[Any]],
    message: str,
    *,
    rtol: float = 0,
    atol: float = 0,
) -> None:
    """Fail unless two lists of arrays agree, exactly unless told otherwise."""
    require(len(actual) == len(expected), f"{message}: another number of outputs")
    for one, other in zip(actual, expected, strict=True):
        shapes = f"{message}: shape {one.shape} instead of {other.shape}"
        require(one.shape == other.shape, shapes)
        np.testing.assert_allclose(one, other, rtol, atol, err_msg=message)


def content(X: Any) -> str:
    """Return a digest of an input, which an estimator must not change."""
    superpixels = X.superpixels if isinstance(X, FeatureTable) else X
    parts: list[Any] = [np.array(values) for values in per_image(X)]
    if isinstance(superpixels, Superpixels):
        parts += [np.array(segmented.image) for segmented in superpixels]
        parts += [np.array(segmented.segments) for segmented in superpixels]
    return str(joblib.hash(parts))


def digest_params(estimator: Any) -> dict[str, Any]:
    """Return a digest of every parameter, also of the estimators among them."""
    params = estimator.get_params()
    return {name: _digest_param(value) for name, value in params.items()}


def _digest_param(value: Any) -> Any:
    if hasattr(value, "get_params") and not isinstance(value, type):
        return type(value)  # its own parameters are listed with it
    if isinstance(value, (list, tuple)):
        return type(value), [_digest_param(item) for item in value]
    return joblib.hash(value)


def is_composition(estimator: Any) -> bool:
    """Return whether it is a pipeline or a union, which fits its steps in place."""
    return isinstance(estimator, _BaseComposition)


def estimators_in(estimator: Any) -> list[Any]:
    """Return an estimator and all estimators among its parameters."""
    values = [estimator, *estimator.get_params().values()]
    return [v for v in values if hasattr(v, "get_params") and not isinstance(v, type)]
