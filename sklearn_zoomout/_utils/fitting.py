"""What begins and what ends every fit: a fit that fails leaves none behind."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sklearn.frozen import FrozenEstimator


def parts_of(estimator: Any) -> list[Any]:
    """Return the estimators of a pipeline or of a union, or none."""
    for name in ("steps", "transformer_list"):
        pairs = getattr(estimator, name, None)
        if isinstance(pairs, (list, tuple)):
            return [pair[1] for pair in pairs if isinstance(pair, (list, tuple))]
    return []


def forget_fit(estimator: Any) -> None:
    """Delete what an earlier fit has set, also in the parts of a pipeline or union.

    Parameters
    ----------
    estimator : estimator
        Nothing is changed in an estimator that is frozen, or in one of the words that
        stand for a step, such as "passthrough".
    """
    if isinstance(estimator, FrozenEstimator):
        return
    for part in parts_of(estimator):
        forget_fit(part)
    for name in list(getattr(estimator, "__dict__", ())):
        if name.endswith("_") and not name.startswith("__"):
            delattr(estimator, name)


def forget_unless_warm(estimator: Any) -> None:
    """Forget the fits of a pipeline, except those with which its steps begin.

    Parameters
    ----------
    estimator : estimator
        Steps that have ``warm_start``, or that contain an estimator which has, are left
        as they are.
    """
    for part in parts_of(estimator):
        params = part.get_params() if hasattr(part, "get_params") else {}
        if not any(
            value is True for name, value in params.items() if _is_warm_start(name)
        ):
            forget_fit(part)


def _is_warm_start(name: str) -> bool:
    return name.rpartition("__")[2] == "warm_start"


@contextmanager
def fresh_fit(estimator: Any) -> Iterator[None]:
    """Forget the earlier fit, and forget this one unless it comes to its end.

    An error, or Ctrl-C, may come when some attributes are those of the new fit. The
    estimator would predict by a mixture of both fits.

    Parameters
    ----------
    estimator : estimator
        The estimator whose fit is the body of the ``with`` statement.

    Yields
    ------
    None
    """
    try:
        forget_fit(estimator)
        yield
    except BaseException:
        forget_fit(estimator)
        raise
