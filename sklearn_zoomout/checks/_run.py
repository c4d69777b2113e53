"""Run the checks: at once, one by one, or as tests of pytest."""

import copy
import warnings
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Literal
from unittest import SkipTest

from sklearn.exceptions import EstimatorCheckFailedWarning, SkipTestWarning

from .._utils.optional import explain_missing
from ._battery import Check, checks_of
from ._comparing import errors_fail
from ._given import Given, make_given
from ._kind import check_kind
from ._trial import kind_of_estimator

_STATUSES = ("passed", "failed", "skipped", "xfail")


class ImageCheck:
    """One check, with the data that it runs on.

    Parameters
    ----------
    check : callable
        Takes an estimator and the data, and raises AssertionError.
    given : Given
        The data.
    """

    def __init__(self, check: Check, given: Given) -> None:
        self._check, self._given = check, given
        self.__name__ = check.__name__
        self.__doc__ = check.__doc__

    def __repr__(self) -> str:
        return self.__name__

    def __call__(self, estimator: Any) -> None:
        """Run the check on a copy of an estimator."""
        with warnings.catch_warnings():
            # What good data warn of is the subject of one check.
            warnings.simplefilter("ignore")
            with errors_fail("it cannot be copied"):
                estimator = copy.deepcopy(estimator)
            _set_seeds(estimator)
            with errors_fail(f"{self.__name__} ends in an error"):
                self._check(estimator, self._given.fresh())


def _set_seeds(estimator: Any) -> None:
    """Set every ``random_state`` that is None, so that results can be compared."""
    unset = [
        name
        for name, value in estimator.get_params().items()
        if name.rpartition("__")[2] == "random_state" and value is None
    ]
    if unset:
        estimator.set_params(**dict.fromkeys(unset, 0))


class CheckResults(list[dict[str, Any]]):
    """A list with a dictionary for every check, which prints how many passed.

    Attributes
    ----------
    kind : str
        The kind that the estimator was taken for, among `KINDS`.
    """

    def __init__(self, kind: str) -> None:
        super().__init__()
        self.kind = kind

    @property
    def counts(self) -> dict[str, int]:
        """How many checks "passed", "failed", were "skipped", or failed as expected.

        The last are "xfail". Skipped ones do not apply to the estimator.
        """
        found = [result["status"] for result in self]
        return {status: found.count(status) for status in _STATUSES}

    @property
    def n_run(self) -> int:
        """How many checks ran: all but the skipped ones."""
        return len(self) - self.counts["skipped"]

    def __repr__(self) -> str:
        counts = ", ".join(f"{n} {status}" for status, n in self.counts.items())
        lines = [f"{self.n_run} checks ran of a {self.kind}: {counts}"]
        lines += [
            f"{result['check_name']}: {result['exception']}"
            for result in self
            if result["status"] == "failed"
        ]
        return "\n".join(lines)


def image_checks_generator(
    estimator: Any,
    *,
    kind: str | None = None,
    images: Any = None,
    masks: Any = None,
) -> Iterator[tuple[Any, ImageCheck]]:
    """Yield the checks of an estimator of images.

    Parameters
    ----------
    estimator : estimator
        An instance. It is not changed.
    kind : str, default=None
        What kind of step it is, a name among `KINDS`. None finds it out by trial; see
        `kind_of_estimator`.
    images : sequence of array-like of shape (height, width, n_channels), default=None
        At least four images, uint8 or floating point in 0..1. None takes small made-up
        ones.
    masks : sequence of array-like of int of shape (height, width), default=None
        Their masks. Every class should be in every mask, since folds of two images are
        learned.

    Yields
    ------
    estimator : estimator
        The same instance.
    check : callable
        Takes the estimator, and raises AssertionError if it is wrong, or
        ``unittest.SkipTest`` if the check does not apply.

    Examples
    --------
    >>> from sklearn_zoomout import LocalFeatures
    >>> from sklearn_zoomout.checks import image_checks_generator
    >>> for estimator, check in image_checks_generator(LocalFeatures(("color",))):
    ...     check(estimator)
    ...     break
    >>> check
    check_clone_keeps_params
    """
    if isinstance(estimator, type):
        raise TypeError(
            f"estimator: expected an instance, got the class {estimator.__name__}; "
            f"pass {estimator.__name__}()."
        )
    if kind is None:
        kind = kind_of_estimator(estimator, images=images, masks=masks)
    known = check_kind(kind)
    given = make_given(known, images, masks)
    for check in checks_of(known):
        yield estimator, ImageCheck(check, given)


def check_image_estimator(
    estimator: Any,
    *,
    kind: str | None = None,
    images: Any = None,
    masks: Any = None,
    expected_failed_checks: dict[str, str] | None = None,
    on_skip: Literal["warn"] | None = None,
    on_fail: Literal["raise", "warn"] | None = "raise",
    callback: Callable[..., Any] | None = None,
) -> CheckResults:
    """Check that an estimator of images does what scikit-learn's estimators do.

    scikit-learn's `check_estimator` works with tables of numbers, so that it runs one
    check of an estimator whose input is a list of images. This function runs those of
    images: of segmenters, levels, classifiers and whole pipelines, also of other
    libraries.

    Parameters
    ----------
    estimator : estimator
        An instance. It is not changed. Choose parameters with which a fit takes little
        time; there are about 200 fits. A ``random_state`` of None is set to 0.
    kind : str, default=None
        What kind of step it is, a name among `KINDS`. None finds it out by trial; see
        `kind_of_estimator`.
    images : sequence of array-like of shape (height, width, n_channels), default=None
        At least four images, uint8 or floating point in 0..1. None takes small made-up
        ones.
    masks : sequence of array-like of int of shape (height, width), default=None
        Their masks. Every class should be in every mask, since folds of two images are
        learned.
    expected_failed_checks : dict of str to str, default=None
        The names of checks that are expected to fail, and why.
    on_skip : "warn" or None, default=None
        "warn" warns of every check that does not apply.
    on_fail : {"raise", "warn"} or None, default="raise"
        "raise" raises the error of the first check that fails. "warn" warns of all.
    callback : callable, default=None
        Called with each dictionary as keywords. Not with ``on_fail="raise"``.

    Returns
    -------
    CheckResults
        A list with a dictionary for every check: "estimator", "check_name",
        "exception", "status" ("passed", "failed", "skipped" or "xfail"),
        "expected_to_fail" and "expected_to_fail_reason", as of scikit-learn's
        `check_estimator`. It prints how many ran.

    Raises
    ------
    AssertionError
        With ``on_fail="raise"``, if a check fails.
    TypeError
        If the estimator is a class, or its kind cannot be found out.
    ValueError
        If a parameter is wrong, or a name in ``expected_failed_checks`` is no check of
        this kind.

    Warns
    -----
    sklearn.exceptions.EstimatorCheckFailedWarning
        With ``on_fail="warn"``, for every check that fails.
    sklearn.exceptions.SkipTestWarning
        With ``on_skip="warn"``, for every check that does not apply.

    See Also
    --------
    parametrize_with_image_checks : The same, as one test of pytest for each check.
    image_checks_generator : The checks, one by one.

    Examples
    --------
    >>> from sklearn_zoomout import LocalFeatures
    >>> from sklearn_zoomout.checks import check_image_estimator
    >>> check_image_estimator(LocalFeatures(("color",)))  # doctest: +SKIP
    101 checks ran of a level: 101 passed, 0 failed, 1 skipped, 0 xfail
    """
    if on_fail not in ("raise", "warn", None):
        raise ValueError(f"on_fail: expected 'raise', 'warn' or None, got {on_fail!r}.")
    if on_skip not in ("warn", None):
        raise ValueError(f"on_skip: expected 'warn' or None, got {on_skip!r}.")
    if on_fail == "raise" and callback is not None:
        raise ValueError(
            "callback: expected None with on_fail='raise', which ends at the first "
            "failure; pass on_fail=None."
        )
    if kind is None and not isinstance(estimator, type):
        kind = kind_of_estimator(estimator, images=images, masks=masks)
    pairs = list(
        image_checks_generator(estimator, kind=kind, images=images, masks=masks)
    )
    expected = expected_failed_checks or {}
    _refuse_unknown_checks(expected, [check for _, check in pairs])
    results = CheckResults(str(kind))
    for one, check in pairs:
        result = _run_one(one, check, expected)
        results.append(result)
        if result["status"] == "failed":
            _report_failure(result, on_fail)
        if result["status"] == "skipped" and on_skip == "warn":
            message = f"{check.__name__} does not apply: {result['exception']}"
            warnings.warn(message, SkipTestWarning, stacklevel=2)
        if callback is not None:
            callback(**result)
    return results


def _refuse_unknown_checks(names: Any, checks: Sequence[ImageCheck]) -> None:
    known = {check.__name__ for check in checks}
    unknown = sorted(set(names) - known)
    if unknown:
        raise ValueError(
            f"expected_failed_checks: expected names of checks that run, got {unknown};"
            f" they are {sorted(known)}."
        )


def _run_one(
    estimator: Any, check: ImageCheck, expected: dict[str, str]
) -> dict[str, Any]:
    """Run a check; return what happened, in the form of scikit-learn."""
    name = check.__name__
    status = "passed"
    exception: Exception | None = None
    try:
        check(estimator)
    except SkipTest as error:
        status, exception = "skipped", error
    except Exception as error:
        status, exception = "xfail" if name in expected else "failed", error
    return {
        "estimator": estimator,
        "check_name": name,
        "exception": exception,
        "status": status,
        "expected_to_fail": name in expected,
        "expected_to_fail_reason": expected.get(name, "Check is not expected to fail"),
    }


def _report_failure(result: dict[str, Any], on_fail: str | None) -> None:
    if on_fail == "raise":
        raise result["exception"]
    if on_fail == "warn":
        warnings.warn(EstimatorCheckFailedWarning(**result), stacklevel=3)


def parametrize_with_image_checks(
    estimators: Sequence[Any],
    *,
    kind: str | None = None,
    images: Any = None,
    masks: Any = None,
    expected_failed_checks: Callable[[Any], dict[str, str]] | None = None,
    xfail_strict: bool | None = None,
) -> Any:
    """Make a test of pytest run for every check of some estimators.

    Parameters
    ----------
    estimators : list of estimators
        Instances.
    kind, images, masks
        See `check_image_estimator`; of all estimators.
    expected_failed_checks : callable, default=None
        Takes an estimator, and returns the names of the checks that are expected to
        fail, and why. Their tests are marked as xfail.
    xfail_strict : bool, default=None
        Whether a check that passes although it is expected to fail fails its test. None
        leaves it to the settings of pytest.

    Returns
    -------
    decorator
        ``pytest.mark.parametrize`` with the arguments "estimator" and "check".

    See Also
    --------
    check_image_estimator : All checks in one call.

    Examples
    --------
    >>> from sklearn_zoomout import LocalFeatures
    >>> from sklearn_zoomout.checks import parametrize_with_image_checks
    >>> @parametrize_with_image_checks([LocalFeatures(("color",))])
    ... def test_my_level(estimator, check):
    ...     check(estimator)
    """
    with explain_missing("parametrize_with_image_checks", "checks"):
        import pytest

    strict: dict[str, Any] = {} if xfail_strict is None else {"strict": xfail_strict}
    tests = []
    for estimator in estimators:
        expected = expected_failed_checks(estimator) if expected_failed_checks else {}
        pairs = list(
            image_checks_generator(estimator, kind=kind, images=images, masks=masks)
        )
        _refuse_unknown_checks(expected, [check for _, check in pairs])
        for one, check in pairs:
            reason = expected.get(check.__name__)
            marks = [pytest.mark.xfail(reason=reason, **strict)] if reason else []
            name = f"{type(one).__name__}-{check.__name__}"
            tests.append(pytest.param(one, check, marks=marks, id=name))
    return pytest.mark.parametrize(("estimator", "check"), tests)
