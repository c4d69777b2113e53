"""What a pipeline asks its steps before the first of them begins to compute.

A step may have two private methods. ``_check_params_before_fit()`` refuses parameters.
``_check_labels_before_fit(labels)`` refuses masks by the labels that occur in them, or
None if there are no masks. Both raise the errors that ``fit`` would raise later.
"""

from typing import Any

from sklearn.frozen import FrozenEstimator

from .fitting import parts_of


def check_params_before_fit(step: Any) -> None:
    """Let a step, or the parts of a pipeline or union, check its parameters.

    Parameters
    ----------
    step : object
        A step that has no such method, or is frozen, is not asked.
    """
    _ask(step, "_check_params_before_fit")


def check_labels_before_fit(step: Any, labels: Any) -> None:
    """Let a step, or the parts of a pipeline or union, check the labels of the masks.

    Parameters
    ----------
    step : object
        A step that has no such method, or is frozen, is not asked.
    labels : PresentLabels or None
        The labels that occur in the masks.
    """
    _ask(step, "_check_labels_before_fit", labels)


def _ask(step: Any, method: str, *args: Any) -> None:
    if isinstance(step, FrozenEstimator):
        return
    if hasattr(step, method):
        getattr(step, method)(*args)
        return
    for part in parts_of(step):
        _ask(part, method, *args)
