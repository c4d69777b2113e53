"""Checks of fit: what it returns, sets, keeps and forgets."""

from typing import Any

import joblib
import numpy as np
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.utils import get_tags
from sklearn.utils.validation import check_is_fitted

from ._comparing import (
    digest_params,
    errors_fail,
    estimators_in,
    fitted,
    fitted_outputs,
    is_composition,
    output_methods,
    outputs,
    require,
    require_refusal,
    require_same,
    skip,
)
from ._given import Given

_PLAIN = (bool, int, float, complex, str, bytes, np.generic, np.ndarray)


def check_fit_returns_self(estimator: Any, given: Given) -> None:
    """Calls can be chained: fit returns the estimator itself."""
    estimator = clone(estimator)
    returned = estimator.fit(given.X, given.y)
    require(returned is estimator, "fit does not return self")


def check_fit_keeps_params(estimator: Any, given: Given) -> None:
    """Fit changes no parameter, neither by another value nor in place."""
    if is_composition(estimator):
        skip("scikit-learn's pipelines and unions fit their steps in place")
    estimator = clone(estimator)
    before, digests = estimator.get_params(), digest_params(estimator)
    estimator.fit(given.X, given.y)
    after = estimator.get_params()
    require(set(after) == set(before), "fit changes the list of parameters")
    for name, value in before.items():
        require(after[name] is value, f"fit replaces {name}")
    changed = [n for n, d in digest_params(estimator).items() if d != digests[n]]
    require(not changed, f"fit changes {changed} in place")


def check_fitted_names(estimator: Any, given: Given) -> None:
    """Attributes that fit sets have a trailing underscore."""
    estimator = clone(estimator)
    before = set(vars(estimator))
    estimator.fit(given.X, given.y)
    learned = set(vars(estimator)) - before
    wrong = sorted(n for n in learned if n[0] != "_" and n[-1] != "_")
    require(not wrong, f"fit sets {wrong} without a trailing underscore")


def check_use_sets_nothing(estimator: Any, given: Given) -> None:
    """Transform and predict set no public attribute, and change no plain one."""
    estimator = fitted(estimator, given)
    before = _plain_attributes(estimator)
    names = set(vars(estimator))
    outputs(estimator, given.X)
    new = sorted(n for n in set(vars(estimator)) - names if n[0] != "_")
    require(not new, f"transform or predict sets {new}")
    after = _plain_attributes(estimator)
    changed = sorted(name for name in before if before[name] != after.get(name))
    require(not changed, f"transform or predict changes {changed}")


def _plain_attributes(estimator: Any) -> dict[str, str]:
    """Return digests of the public attributes that are numbers, text and arrays."""
    return {
        name: joblib.hash(value)
        for name, value in vars(estimator).items()
        if name[0] != "_" and isinstance(value, _PLAIN)
    }


def check_is_fitted_after_fit(estimator: Any, given: Given) -> None:
    """scikit-learn's `check_is_fitted` takes it for fitted after fit."""
    estimator = fitted(estimator, given)
    with errors_fail("check_is_fitted does not see that it is fitted"):
        check_is_fitted(estimator)


def check_is_not_fitted_before_fit(estimator: Any, given: Given) -> None:
    """scikit-learn's `check_is_fitted` does not take it for fitted before fit."""
    if not get_tags(estimator).requires_fit:
        skip("it need not be fitted")
    require_refusal(
        lambda: check_is_fitted(clone(estimator)),
        "check_is_fitted before fit",
        errors=(NotFittedError,),
    )


def check_methods_before_fit(estimator: Any, given: Given) -> None:
    """Every method raises NotFittedError before fit, and says of which estimator."""
    if not get_tags(estimator).requires_fit:
        skip("it need not be fitted")
    names = [type(part).__name__ for part in estimators_in(estimator)]
    calls: dict[str, tuple[Any, ...]] = {
        name: (given.X,) for name in output_methods(estimator)
    }
    if hasattr(estimator, "score"):
        calls["score"] = given.X, given.y
    if hasattr(estimator, "predict_superpixel_proba"):
        calls["predict_superpixel_proba"] = (given.X,)
    for name, arguments in calls.items():
        call = getattr(clone(estimator), name)
        try:
            call(*arguments)
        except NotFittedError as error:
            named = any(part in str(error) for part in names)
            require(named, f"{name} before fit does not name the estimator: {error}")
        except Exception as error:
            raise AssertionError(
                f"{name} before fit must raise NotFittedError, got {error!r}"
            ) from error
        else:
            raise AssertionError(
                f"{name} before fit must raise NotFittedError, got no error"
            )


def check_names_before_fit(estimator: Any, given: Given) -> None:
    """get_feature_names_out raises NotFittedError before fit."""
    if not get_tags(estimator).requires_fit:
        skip("it need not be fitted")
    if not hasattr(estimator, "get_feature_names_out"):
        skip("it has no get_feature_names_out")
    require_refusal(
        clone(estimator).get_feature_names_out,
        "get_feature_names_out before fit",
        errors=(NotFittedError,),
    )


def check_fit_twice(estimator: Any, given: Given) -> None:
    """A second fit to the same data gives the same."""
    once = fitted(estimator, given)
    expected = outputs(once, given.X)
    once.fit(given.X, given.y)
    require_same(outputs(once, given.X), expected, "a second fit to the same differs")


def check_refit_forgets(estimator: Any, given: Given) -> None:
    """A fit to other data forgets the fit before."""
    expected = fitted_outputs(estimator, given.X, given.y)
    again = clone(estimator).fit(*given.take(range(len(given.images) - 1)))
    again.fit(given.X, given.y)
    message = "a fit after a fit to other images differs from a fresh one"
    require_same(outputs(again, given.X), expected, message)


def check_refit_sets_the_same(estimator: Any, given: Given) -> None:
    """A second fit leaves no attribute of the first, and adds none."""
    once = fitted(estimator, given)
    before = {name for name in vars(once) if name[-1] == "_"}
    once.fit(*given.take(range(len(given.images) - 1)))
    after = {name for name in vars(once) if name[-1] == "_"}
    changed = sorted(before ^ after)
    require(not changed, f"a second fit sets other attributes: {changed}")


def check_fit_of_clone(estimator: Any, given: Given) -> None:
    """A clone of a fitted estimator learns the same again."""
    once = fitted(estimator, given)
    again = clone(once).fit(given.X, given.y)
    message = "a clone of a fitted estimator learns something else"
    require_same(outputs(again, given.X), outputs(once, given.X), message)


def check_random_state(estimator: Any, given: Given) -> None:
    """An integer ``random_state`` determines the result."""
    names = [
        name
        for name in estimator.get_params()
        if name.rpartition("__")[2] == "random_state"
    ]
    if not names:
        skip("it has no random_state")
    one, other = (
        clone(estimator).set_params(**dict.fromkeys(names, 7)) for _ in range(2)
    )
    expected = fitted_outputs(one, given.X, given.y)
    message = "two fits with the same random_state differ"
    require_same(fitted_outputs(other, given.X, given.y), expected, message)


def check_random_state_object(estimator: Any, given: Given) -> None:
    """A RandomState is used, and equal ones give equal results."""
    if "random_state" not in estimator.get_params(deep=False):
        skip("it has no random_state")
    results = []
    for _ in range(2):
        seeded = clone(estimator).set_params(random_state=np.random.RandomState(3))
        with errors_fail("random_state cannot be a RandomState"):
            results.append(fitted_outputs(seeded, given.X, given.y))
    require_same(results[0], results[1], "two fits with equal RandomStates differ")


def check_fit_without_masks(estimator: Any, given: Given) -> None:
    """fit(X) works if no masks are needed, and else refuses with an error of masks."""
    if get_tags(estimator).target_tags.required or given.kind.output == "labels":
        require_refusal(
            lambda: clone(estimator).fit(given.X, None), "masks of None", ["mask"]
        )
        return
    with errors_fail("fit(X) does not work, though masks are not required"):
        outputs(clone(estimator).fit(given.X), given.X)


def check_memory(estimator: Any, given: Given) -> None:
    """With ``memory`` the outputs are the same, computed and recalled."""
    import tempfile

    names = [n for n in estimator.get_params() if n.rpartition("__")[2] == "memory"]
    names = [n for n in names if not _is_pipeline_memory(estimator, n)]
    if not names:
        skip("it has no memory")
    expected = fitted_outputs(estimator, given.X, given.y)
    with tempfile.TemporaryDirectory() as folder:
        for step in ("stored", "recalled"):
            kept = clone(estimator).set_params(**dict.fromkeys(names, folder))
            found = fitted_outputs(kept, given.X, given.y)
            require_same(found, expected, f"outputs that are {step} in memory differ")


def _is_pipeline_memory(estimator: Any, name: str) -> bool:
    """Return whether a memory is that of a Pipeline, which keeps fitted steps."""
    owner = name.rpartition("__")[0]
    return hasattr(estimator.get_params()[owner] if owner else estimator, "steps")
