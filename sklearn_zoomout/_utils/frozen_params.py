"""Parameters that are objects which never change."""

from collections import defaultdict
from dataclasses import fields, replace
from typing import Any, ClassVar, Self

import numpy as np

from .params import validate_params


class FrozenParams:
    """Base of frozen dataclasses that are a parameter of an estimator.

    The values are checked against ``_parameter_constraints``. scikit-learn sees
    parameters within the parameter (``get_params``), and a clone of it is the object
    itself.
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {}

    def __post_init__(self) -> None:
        validate_params(self)
        for name, value in self.get_params(deep=False).items():
            if isinstance(value, np.generic):  # equal values are to look alike
                object.__setattr__(self, name, value.item())

    def __repr__(self) -> str:
        changed = [
            f"{field.name}={value!r}"
            for field in fields(self)  # type: ignore[arg-type]
            if (value := getattr(self, field.name)) != field.default
        ]
        return f"{type(self).__name__}({', '.join(changed)})"

    def __sklearn_clone__(self) -> Self:
        return self

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Return the parameters.

        Parameters
        ----------
        deep : bool, default=True
            Whether to return the parameters of parameters too, as "name__inner".

        Returns
        -------
        dict
        """
        params = {f.name: getattr(self, f.name) for f in fields(self)}  # type: ignore[arg-type]
        if deep:
            for name, value in list(params.items()):
                if isinstance(value, FrozenParams):
                    inner = value.get_params()
                    params |= {f"{name}__{key}": inner[key] for key in inner}
        return params

    def replace(self, **params: Any) -> Self:
        """Return a copy with other parameters.

        Parameters
        ----------
        **params
            Their values by name; "name__inner" is a parameter of a parameter.

        Returns
        -------
        FrozenParams
            Of the same class.

        Raises
        ------
        ValueError
            If there is no such parameter.
        """
        changes, nested = _split_nested(params, self.get_params(deep=False))
        unknown = set(changes).difference(self.get_params(deep=False))
        if unknown:
            raise ValueError(
                f"{type(self).__name__} has no parameters {sorted(unknown)}; it has "
                f"{list(self.get_params(deep=False))}."
            )
        changed = replace(self, **changes)  # type: ignore[type-var]
        for name, inner in nested.items():
            value = getattr(changed, name)
            if not isinstance(value, FrozenParams):
                raise ValueError(
                    f"{name} of {type(self).__name__} is {value!r}, which has no "
                    f"parameters {sorted(inner)}; set {name} first."
                )
            changed = replace(changed, **{name: value.replace(**inner)})  # type: ignore[type-var]
        return changed


class FrozenParamsMixin:
    """Mixin of estimators with frozen parameters, before `BaseEstimator`.

    ``set_params(name__inner=value)`` replaces the parameter ``name``, since it cannot
    be changed.
    """

    def _as_frozen(self, name: str) -> FrozenParams | None:
        """Return the frozen parameter of this name, None if it is no such parameter."""
        value = getattr(self, name, None)
        return value if isinstance(value, FrozenParams) else None

    def set_params(self, **params: Any) -> Self:
        """Set the parameters of this estimator.

        Parameters
        ----------
        **params
            Their values by name; "name__inner" is a parameter of a parameter.

        Returns
        -------
        self : object
        """
        named = {key.partition("__")[0] for key in params if "__" in key}
        frozen = [name for name in named if self._as_frozen(name) is not None]
        own, nested = _split_nested(params, frozen)
        super().set_params(**own)  # type: ignore[misc]
        for name, inner in nested.items():
            before = self._as_frozen(name)
            assert before is not None
            setattr(self, name, before.replace(**inner))
        return self


def _split_nested(
    params: dict[str, Any], names: Any
) -> tuple[dict[str, Any], dict[str, dict[str, Any]]]:
    """Part parameters from parameters of the parameters ``names``."""
    own: dict[str, Any] = {}
    nested: dict[str, dict[str, Any]] = defaultdict(dict)
    for key, value in params.items():
        name, delimiter, inner = key.partition("__")
        if delimiter and name in names:
            nested[name][inner] = value
        else:
            own[key] = value
    return own, nested
