"""Validation of constructor parameters, and what begins every fit."""

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.utils._param_validation import InvalidParameterError


def forget_fit(estimator: BaseEstimator) -> None:
    """Delete what an earlier fit has set, since a fit that fails leaves none."""
    for name in [name for name in vars(estimator) if name.endswith("_")]:
        delattr(estimator, name)


def validate_params(estimator: BaseEstimator) -> None:
    """Check an estimator's parameters against its ``_parameter_constraints``.

    scikit-learn's own check takes ``True`` for the integer 1; here a boolean is
    accepted only where the constraints list "boolean" or "verbose".

    Raises
    ------
    InvalidParameterError
        A ``ValueError`` and ``TypeError`` that names the parameter, what it may
        be, and what it was.
    """
    estimator._validate_params()
    for name, constraints in estimator._parameter_constraints.items():
        value = getattr(estimator, name)
        takes_bool = {"boolean", "verbose"} & {c for c in constraints if type(c) is str}
        if isinstance(value, (bool, np.bool_)) and not takes_bool:
            allowed = " or ".join(str(constraint) for constraint in constraints)
            raise InvalidParameterError(
                f"The {name!r} parameter of {type(estimator).__name__} must be "
                f"{allowed}. Got {value!r} instead."
            )
