"""Checks of the callbacks that a user passes."""

from collections.abc import Mapping
from typing import Any


def check_callbacks(params: Mapping[str, Any]) -> None:
    """Refuse callbacks that are none, or that cannot work as the parameters are.

    Parameters
    ----------
    params : mapping of str to object
        The parameters of the `ZoomoutClassifier`.

    Raises
    ------
    ValueError
        If an item is no callback, needs single rows, monitors a loss that is not
        computed, changes the learning rate as the schedule does, or has a state that
        is not in a checkpoint.
    """
    for i, item in enumerate(params["callbacks"] or ()):
        callback = item[-1] if isinstance(item, (tuple, list)) else item
        name = type(callback).__name__
        is_of_skorch = type(callback).__module__.startswith("skorch.")
        if not hasattr(callback, "on_epoch_end"):
            raise ValueError(
                f"callbacks[{i}]: expected a skorch callback, or a pair of a name and "
                f"a callback, got {name}."
            )
        if any(base.__name__ == "ScoringBase" for base in type(callback).__mro__):
            raise ValueError(
                f"callbacks[{i}]: {name} predicts single rows of a data set, which the "
                "training on a table does not have; set validation_fraction, such as "
                "0.1, and read valid_loss in history_, or use cross_val_score."
            )
        monitor = str(getattr(callback, "monitor", None))
        if monitor.startswith("valid_") and params["validation_fraction"] is None:
            raise ValueError(
                f"callbacks[{i}]: {name} monitors {monitor!r}, which is computed on "
                "held-out images only; set validation_fraction, such as 0.1."
            )
        if name == "LRScheduler" and params["schedule"] != "constant":
            raise ValueError(
                f"callbacks[{i}]: {name} changes the learning rate, as "
                f"schedule={params['schedule']!r} does; pass schedule='constant'."
            )
        kept = name == "EarlyStopping" or not is_of_skorch
        if params["checkpoint"] is not None and not kept:
            raise ValueError(
                f"callbacks[{i}]: expected EarlyStopping, the only callback of skorch "
                f"whose state a checkpoint keeps, got {name}; leave it out, or pass "
                "checkpoint=None."
            )
