"""Checks of threads and processes: they compute the same."""

from concurrent.futures import ThreadPoolExecutor
from multiprocessing import get_start_method
from threading import Barrier
from typing import Any

from joblib import Parallel, delayed, parallel_config
from sklearn.base import clone

from ._comparing import (
    ROUNDING,
    errors_fail,
    estimators_in,
    fitted,
    fitted_outputs,
    outputs,
    require_same,
    skip,
)
from ._given import Given

_N_THREADS = 3
# A process that has not answered after so many seconds hangs.
_LONGEST = 300


def check_threads_use_one_estimator(estimator: Any, given: Given) -> None:
    """Several threads use one fitted estimator at once, each on other images."""
    estimator = fitted(estimator, given)
    parts = [given.take([i, (i + 1) % 3])[0] for i in range(_N_THREADS)]
    expected = [outputs(estimator, part) for part in parts]
    start = Barrier(_N_THREADS)

    def use(part: Any) -> Any:
        start.wait()
        return outputs(estimator, part)

    with (
        errors_fail("several threads cannot use one fitted estimator"),
        ThreadPoolExecutor(_N_THREADS) as pool,
    ):
        found = list(pool.map(use, parts))
    for one, other in zip(found, expected, strict=True):
        require_same(one, other, "several threads at once change the output")


def check_threads_fit_clones(estimator: Any, given: Given) -> None:
    """Several threads fit clones at once."""
    expected = fitted_outputs(estimator, given.X, given.y)
    clones = [clone(estimator) for _ in range(_N_THREADS)]
    start = Barrier(_N_THREADS)

    def fit(one: Any) -> Any:
        fresh = given.fresh()
        start.wait()
        return fitted_outputs(one, fresh.X, fresh.y)

    with (
        errors_fail("several threads cannot fit clones"),
        ThreadPoolExecutor(_N_THREADS) as pool,
    ):
        found = list(pool.map(fit, clones))
    for one in found:
        require_same(one, expected, "fits in several threads differ", **ROUNDING)


def check_n_jobs(estimator: Any, given: Given) -> None:
    """The number of jobs does not change the result."""
    names = [n for n in estimator.get_params() if n.rpartition("__")[2] == "n_jobs"]
    if not names:
        skip("it has no n_jobs")
    results = []
    with parallel_config("threading"):
        for n_jobs in (1, 2):
            changed = clone(estimator).set_params(**dict.fromkeys(names, n_jobs))
            results.append(fitted_outputs(changed, given.X, given.y))
    require_same(results[1], results[0], "n_jobs changes the output", **ROUNDING)


def _check_backend(estimator: Any, given: Given, backend: str) -> None:
    """Fail unless fits in two workers of a backend give what they do here."""
    expected = fitted_outputs(estimator, given.X, given.y)
    tasks = [
        delayed(fitted_outputs)(clone(estimator), given.X, given.y) for _ in range(2)
    ]
    options: dict[str, Any] = {} if backend == "threading" else {"timeout": _LONGEST}
    with errors_fail(f"joblib's backend {backend!r} cannot fit it"):
        found = Parallel(2, backend=backend, **options)(tasks)
    for one in found:
        message = f"joblib's backend {backend!r} changes the output"
        require_same(one, expected, message, **ROUNDING)


def check_backend_threading(estimator: Any, given: Given) -> None:
    """It is fitted and used in threads of joblib."""
    _check_backend(estimator, given, "threading")


def check_backend_loky(estimator: Any, given: Given) -> None:
    """It is fitted and used in processes of joblib."""
    _check_backend(estimator, given, "loky")


def check_backend_multiprocessing(estimator: Any, given: Given) -> None:
    """It is fitted and used in processes of joblib's backend "multiprocessing"."""
    modules = {type(part).__module__ for part in estimators_in(estimator)}
    if "__main__" in modules and get_start_method() != "fork":
        skip("a class of a script or notebook is unknown to other processes")
    _check_backend(estimator, given, "multiprocessing")
