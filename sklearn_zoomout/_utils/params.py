"""Validation of constructor parameters."""

import re
from numbers import Integral
from typing import Any

import numpy as np
from sklearn.utils._param_validation import (
    InvalidParameterError,
    validate_parameter_constraints,
)


def validate_params(owner: Any) -> None:
    """Check the parameters of an estimator against its ``_parameter_constraints``.

    scikit-learn's own check takes ``True`` for the integer 1; here a boolean is
    accepted only where the constraints list "boolean" or "verbose".

    Raises
    ------
    InvalidParameterError
        A ``ValueError`` and ``TypeError`` that names the parameter, what it may
        be, and what it was.
    """
    constraints_of = owner._parameter_constraints
    params = {name: getattr(owner, name) for name in constraints_of}
    caller = type(owner).__name__
    try:
        validate_parameter_constraints(constraints_of, params, caller_name=caller)
    except InvalidParameterError as error:
        public = re.sub(r"(sklearn_zoomout\.\w+)\._\w+", r"\1", str(error))
        units = params.get("hidden_units")
        if isinstance(units, Integral) and units is not True:
            public += f" For one layer write ({units},)."
        raise InvalidParameterError(public) from None
    for name, value in params.items():
        constraints = constraints_of[name]
        takes_bool = {"boolean", "verbose"} & {c for c in constraints if type(c) is str}
        if isinstance(value, (bool, np.bool_)) and not takes_bool:
            allowed = " or ".join(str(constraint) for constraint in constraints)
            raise InvalidParameterError(
                f"The {name!r} parameter of {caller} must be {allowed}. Got {value!r} "
                "instead."
            )
