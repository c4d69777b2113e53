"""Digests of arrays and of transformers."""

import hashlib
import pickle
from collections.abc import Iterator
from contextlib import suppress
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from types import BuiltinFunctionType, FunctionType
from typing import Any

import joblib
import numpy as np
from numpy.typing import NDArray

from .._version import __version__

# Results depend on these packages. Another version of one gives another digest.
_PACKAGES = (
    "numpy",
    "scipy",
    "scikit-image",
    "opencv-python",
    "opencv-python-headless",
    "torch",
    "torchvision",
    "timm",
)
# Parameters that change how a result is computed, but not the result.
_IGNORED = {"n_jobs", "verbose", "memory", "device", "checkpoint"}


def _installed_versions() -> Iterator[str]:
    for package in _PACKAGES:
        with suppress(PackageNotFoundError):
            yield f"{package} {version(package)}"


# A look-up of all versions takes 7 ms, which is too long for every image.
_VERSIONS = tuple(_installed_versions())


def digest_array(array: NDArray[Any]) -> str:
    """Return the SHA-256 of the values, dtype and shape of an array.

    Parameters
    ----------
    array : ndarray

    Returns
    -------
    str
        64 hexadecimal digits.
    """
    digest = hashlib.sha256(f"{array.dtype.str} {array.shape} ".encode())
    digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()


def digest_transformer(transformer: Any) -> str:
    """Return a digest of all that the results of a transformer depend on.

    Two transformers of equal digests compute the same results. This also holds
    between processes and sessions.

    Parameters
    ----------
    transformer : estimator
        A transformer, fitted if it learns anything. What counts is what its method
        ``_cache_state`` returns, if it has one; else its parameters and its fitted
        attributes, whose names end with "_"; else, if it has no ``get_params``, all
        its attributes. Estimators among these count in the same way, so that a
        pipeline or a union is digested step by step.

    Returns
    -------
    str
        40 hexadecimal digits. See `digest_state`.

    Raises
    ------
    TypeError
        If a value cannot be hashed.
    """
    return digest_state(transformer, _state_of(transformer))


def digest_state(owner: Any, state: dict[str, Any]) -> str:
    """Return a digest of the parameters and fitted attributes of an object.

    Parameters
    ----------
    owner : object
        The object.
    state : dict
        The values that results depend on, by name. The names "n_jobs", "verbose",
        "memory", "device" and "checkpoint" are ignored. A function or a class counts
        by its name.

    Returns
    -------
    str
        40 hexadecimal digits. They also depend on the class of the owner, on its
        ``cache_version`` if it has one, and on the versions of this package and of
        the packages that it computes with.

    Raises
    ------
    TypeError
        If a value cannot be hashed.
    """
    kind = type(owner)
    versions = (__version__, getattr(kind, "cache_version", None), *_VERSIONS)
    values = {}
    for name in state.keys() - _IGNORED:
        try:
            values[name] = _hash(_reduce(state[name]))
        except (TypeError, AttributeError, pickle.PicklingError) as error:
            raise TypeError(
                f"{kind.__name__}.{name}: expected a value that can be pickled, got "
                f"{type(state[name]).__name__} ({error.args[0]}); leave it out of the "
                "parameters and of the attributes whose names end with '_'."
            ) from error
    return _hash([_name_of(kind), versions, values])


def digest_values(values: dict[str, Any]) -> str:
    """Return a digest of values, which is the same in all versions of packages.

    Parameters
    ----------
    values : dict
        Numbers, strings, arrays, tensors, functions, and containers of these.

    Returns
    -------
    str
        40 hexadecimal digits.
    """
    return _hash(_reduce(values))


def _state_of(transformer: Any) -> dict[str, Any]:
    if hasattr(transformer, "_cache_state"):
        return transformer._cache_state()
    if not hasattr(transformer, "get_params"):
        return getattr(transformer, "__dict__", {})
    fitted = {
        name: value
        for name, value in vars(transformer).items()
        if name.endswith("_") and not name.startswith("__")
    }
    return transformer.get_params(deep=False) | fitted


def _reduce(value: Any) -> Any:
    """Replace what joblib would hash by its address, or not at all.

    Equal arrays in memory and in files become equal strings. joblib tells one object
    that occurs twice from two equal objects; strings and numbers are exempt from this.
    """
    if value is None or isinstance(value, (str, int, float)):
        return value
    if isinstance(value, (list, tuple)):
        return [_reduce(item) for item in value]
    if isinstance(value, dict):
        return {key: _reduce(item) for key, item in value.items()}
    if isinstance(value, (FunctionType, BuiltinFunctionType, type)):
        return _name_of(value)
    if isinstance(value, partial):
        return [_reduce(part) for part in (value.func, value.args, value.keywords)]
    if hasattr(value, "get_params"):
        return digest_transformer(value)
    if hasattr(value, "state_dict"):  # a module or an optimizer of torch
        return [_name_of(type(value)), _reduce(dict(value.state_dict()))]
    if hasattr(value, "detach"):  # a tensor of torch; numpy has no bfloat16
        return [str(value.dtype), _hash(value.detach().cpu().double().numpy())]
    return _hash(value)


def _hash(value: Any) -> str:
    # joblib starts processes that get large arrays as maps of files.
    return joblib.hash(value, hash_name="sha1", coerce_mmap=True)


def _name_of(thing: Any) -> str:
    return f"{thing.__module__}.{thing.__qualname__}"
