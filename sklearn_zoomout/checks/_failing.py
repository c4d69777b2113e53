"""Checks of fits that fail or are interrupted: no fit is left, and no mixture."""

from collections.abc import Callable, Iterator, Sequence
from itertools import product
from typing import Any

from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.utils import get_tags

from ..superpixels import Superpixels
from ..table import FeatureTable
from ._comparing import (
    fitted,
    fitted_outputs,
    output_methods,
    outputs,
    require,
    require_same,
    skip,
)
from ._given import Given


class Trap:
    """Counts how often data are read, and raises an error at a chosen time.

    Parameters
    ----------
    error : BaseException or None
        What is raised.
    at : int
        The number of the reading, from 0.
    """

    def __init__(self, error: BaseException | None = None, at: int = -1) -> None:
        self.error, self.at, self.count = error, at, 0

    def step(self) -> None:
        """Count a reading, and raise the error if it is the chosen one."""
        self.count += 1
        if self.error is not None and self.count - 1 == self.at:
            raise self.error


class TrappedList(Sequence[Any]):
    """A sequence of arrays that are read through a trap."""

    def __init__(self, items: Sequence[Any], trap: Trap) -> None:
        self._items, self._trap = items, trap

    def __len__(self) -> int:
        return len(self._items)

    def __getitem__(self, key: Any) -> Any:
        self._trap.step()
        return self._items[key]


class TrappedSuperpixels(Superpixels):
    """Superpixels whose images are read through a trap."""

    def __init__(self, items: Any, trap: Trap) -> None:
        super().__init__(items)
        self._trap = trap

    def __getitem__(self, key: Any) -> Any:
        self._trap.step()
        return super().__getitem__(key)


class TrappedTable(FeatureTable):
    """A table whose rows are read through a trap."""

    def __init__(self, table: FeatureTable, trap: Trap) -> None:
        super().__init__(table.superpixels, table.blocks)
        self._trap = trap

    def take(self, rows: Any, out: Any = None) -> Any:
        """Return a copy of some rows, or raise the error of the trap."""
        self._trap.step()
        return super().take(rows, out)


def trapped_input(given: Given, trap: Trap) -> Any:
    """Return the input of an estimator, read through a trap."""
    if given.kind.input == "images":
        return TrappedList(given.X, trap)
    if given.kind.input == "superpixels":
        return TrappedSuperpixels(list(given.X), trap)
    return TrappedTable(given.X, trap)


def failing_fits(
    estimator: Any, given: Given, error: Callable[[], BaseException]
) -> Iterator[Any]:
    """Yield estimators whose second fit has failed while its data were read.

    Parameters
    ----------
    estimator : estimator
        An estimator.
    given : Given
        The data.
    error : callable
        Makes the error.

    Yields
    ------
    estimator
        A fit to images and to masks each fails at the first reading, in the middle and
        at the last.
    """
    makers: list[Callable[[Trap], tuple[Any, Any]]] = [
        lambda trap: (trapped_input(given, trap), given.y)
    ]
    if given.kind.output == "labels":
        makers.append(lambda trap: (given.X, TrappedList(given.y, trap)))
    methods = [name for name in ("fit", "fit_transform") if hasattr(estimator, name)]
    n_failed = 0
    for make, method in product(makers, methods):
        count = Trap()
        getattr(clone(estimator), method)(*make(count))
        for at in sorted({0, count.count // 2, count.count - 1} - {-1}):
            failed = fitted(estimator, given)
            raised = error()
            try:
                getattr(failed, method)(*make(Trap(raised, at)))
            except type(raised):
                n_failed += 1
                yield failed
    if not n_failed:
        skip("its fit reads no data, or goes on after errors")


def _require_not_fitted(estimator: Any, given: Given, after: str) -> None:
    if not get_tags(estimator).requires_fit:
        skip("it need not be fitted")
    for name in output_methods(estimator):
        try:
            getattr(estimator, name)(given.X)
        except NotFittedError:
            continue
        except Exception as error:
            raise AssertionError(
                f"{name} after {after} must raise NotFittedError, got {error!r}"
            ) from error
        raise AssertionError(
            f"{name} after {after} must raise NotFittedError, got no error; forget an "
            "earlier fit before a new one begins, and what a failed one has set"
        )


def check_interrupted_fit(estimator: Any, given: Given) -> None:
    """A fit that Ctrl-C interrupts leaves an estimator that is not fitted."""
    for interrupted in failing_fits(estimator, given, KeyboardInterrupt):
        _require_not_fitted(interrupted, given, "an interrupted fit")


def check_failed_fit(estimator: Any, given: Given) -> None:
    """A fit that fails leaves an estimator that is not fitted."""
    for failed in failing_fits(estimator, given, lambda: RuntimeError("unreadable")):
        _require_not_fitted(failed, given, "a failed fit")


def check_errors_of_data_are_not_hidden(estimator: Any, given: Given) -> None:
    """An error while an image is read reaches the caller of fit."""
    trap = Trap(OSError("this image cannot be read"), 0)
    try:
        clone(estimator).fit(trapped_input(given, trap), given.y)
    except Exception as error:
        chain: BaseException | None = error
        while chain is not None and "cannot be read" not in str(chain):
            chain = chain.__cause__ or chain.__context__
        require(chain is not None, f"the error of an image is lost in {error!r}")
        return
    if not trap.count:
        skip("its fit reads no data")
    raise AssertionError("fit goes on without an image that cannot be read")


def check_fit_after_failed_fit(estimator: Any, given: Given) -> None:
    """A fit after one that failed gives the same as a fresh one."""
    expected = fitted_outputs(estimator, given.X, given.y)
    for failed in failing_fits(estimator, given, lambda: RuntimeError("unreadable")):
        found = outputs(failed.fit(given.X, given.y), given.X)
        require_same(found, expected, "a fit after a failed one differs")
        return
