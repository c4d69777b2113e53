"""From an estimator to JSON and arrays."""

import math
import os
from collections.abc import Callable, Iterable
from pathlib import PurePath
from types import (
    BuiltinFunctionType,
    BuiltinMethodType,
    FunctionType,
    MethodType,
)
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ._classes import is_known, name_of
from ._codecs import find_codec
from ._values import pack_value

_CODE = (FunctionType, BuiltinFunctionType, BuiltinMethodType, MethodType, type)
#: What iterates over a range may make a list of it.
LONGEST_RANGE = 2**20
#: Names whose values are shown without them: steps have names of their own.
UNNAMED = {"params", "fitted", "steps", "transformer_list"}


class Encoder:
    """Turns estimators into what JSON can hold, and collects their arrays.

    A node is None, a boolean, an integer, text, a finite number, a list, or an object
    of one key, which says what it is. An array, or an object, that occurs twice is
    stored once.

    Attributes
    ----------
    arrays : list of ndarray
        The arrays, in the order of their numbers.
    """

    def __init__(self) -> None:
        self.arrays: list[NDArray[Any]] = []
        # By address. The values are kept, so that no other gets the same address.
        self._nodes: dict[int, tuple[Any, Any]] = {}
        self._open: set[int] = set()
        self._n_objects = 0

    def encode(self, value: Any, path: str) -> Any:
        """Return the node of a value.

        Parameters
        ----------
        value : object
            An estimator, or a value of one.
        path : str
            Where it is, for errors.

        Returns
        -------
        node : object
            What JSON can hold.

        Raises
        ------
        TypeError
            If the value is code, or of a class that has no protocol.
        ValueError
            If the value contains itself.
        """
        if value is None or type(value) in (bool, int, str):
            return value
        if type(value) is float:
            return value if math.isfinite(value) else {"float": repr(value)}
        if id(value) in self._nodes:
            return self._nodes[id(value)][0]
        if id(value) in self._open:
            raise ValueError(
                f"{path}: expected values that do not contain themselves, got such a "
                f"{type(value).__name__}; leave it out of the attributes."
            )
        self._open.add(id(value))
        try:
            return self._encode_part(value, path)
        finally:
            self._open.discard(id(value))

    def _encode_part(self, value: Any, path: str) -> Any:
        kind = type(value)
        if kind in _CONTAINERS:
            return _CONTAINERS[kind](self, value, path)
        if isinstance(value, np.generic):
            return self._encode_number(value, path)
        if isinstance(value, np.ndarray):
            return self._encode_array(value, path)
        if isinstance(value, PurePath):
            return {"path": os.fspath(value)}
        packed = pack_value(value, path)
        if packed is not None:
            tag, parts = packed
            node = {tag: [self.encode(part, f"{path}.{tag}") for part in parts]}
            return self._share(value, node)
        return self._encode_object(value, path)

    def _encode_list(self, values: list[Any], path: str) -> Any:
        return [self.encode(v, _path_of(v, i, path)) for i, v in enumerate(values)]

    def _encode_tuple(self, values: tuple[Any, ...], path: str) -> Any:
        if is_step(values):
            return {"tuple": [self.encode(value, path) for value in values]}
        return {"tuple": self._encode_list(list(values), path)}

    def _encode_set(self, values: Iterable[Any], path: str) -> Any:
        nodes = [self.encode(value, path) for value in values]
        return {type(values).__name__: sorted(nodes, key=repr)}

    def _encode_dict(self, values: dict[Any, Any], path: str) -> Any:
        pairs = [
            [self.encode(key, path), self.encode(value, join(path, key))]
            for key, value in values.items()
        ]
        return {"dict": pairs}

    def _encode_slice(self, value: "slice | range", path: str) -> Any:
        if isinstance(value, range) and len(value) > LONGEST_RANGE:
            raise ValueError(
                f"{path}: expected a range of up to {LONGEST_RANGE} numbers, got "
                f"{value}; pass the numbers that you need."
            )
        parts = [value.start, value.stop, value.step]
        return {type(value).__name__: [self.encode(part, path) for part in parts]}

    def _encode_number(self, value: np.generic, path: str) -> Any:
        if (
            value.dtype.kind not in "biufU"
            or value.dtype.itemsize > 8
            and (value.dtype.kind != "U")
        ):
            raise TypeError(
                f"{path}: expected numbers of up to 64 bits, got {value.dtype}; "
                "convert it to one of them."
            )
        return {"number": [value.dtype.str, self.encode(value.item(), path)]}

    def _encode_array(self, array: NDArray[Any], path: str) -> Any:
        if isinstance(array, np.ma.MaskedArray):
            parts = [np.asarray(array.data), np.ma.getmaskarray(array)]
            fill = np.asarray(array.fill_value).item()
            nodes = [self.encode(part, path) for part in (*parts, fill)]
            return self._share(array, {"masked": nodes})
        if type(array) not in (np.ndarray, np.memmap):
            raise TypeError(
                f"{path}: expected a plain array, got {type(array).__name__}; use "
                "numpy.asarray."
            )
        if array.dtype.kind == "O":
            items = [self.encode(item, path) for item in array.ravel().tolist()]
            return self._share(array, {"objects": [list(array.shape), items]})
        if array.dtype.hasobject or array.dtype.itemsize == 0:
            raise TypeError(
                f"{path}: expected an array of numbers or text, got {array.dtype}."
            )
        self.arrays.append(_without_padding(np.asarray(array)))
        node = {"array": len(self.arrays) - 1}
        self._nodes[id(array)] = node, array
        return node

    def _encode_object(self, value: Any, path: str) -> Any:
        name = name_of(type(value))
        codec = find_codec(name, type(value))
        if isinstance(value, _CODE) or codec is None:
            raise TypeError(_describe(value, path))
        try:
            packed = codec.pack(value)
        except ValueError as error:
            raise ValueError(f"{path}.{error}") from None
        state = {
            key: self.encode(part, join(path, key)) for key, part in packed.items()
        }
        version = (
            getattr(type(value), "cache_version", None) if is_known(name) else None
        )
        return self._share(value, {"object": [name, state, version]})

    def _share(self, value: Any, node: Any) -> Any:
        """Let later occurrences of a value refer to this one."""
        self._nodes[id(value)] = {"ref": self._n_objects}, value
        self._n_objects += 1
        return node


_CONTAINERS: dict[type, Callable[..., Any]] = {
    list: Encoder._encode_list,
    tuple: Encoder._encode_tuple,
    set: Encoder._encode_set,
    frozenset: Encoder._encode_set,
    dict: Encoder._encode_dict,
    slice: Encoder._encode_slice,
    range: Encoder._encode_slice,
}


def is_step(values: Any) -> bool:
    """Return whether a tuple is a named step of a pipeline or union."""
    named = type(values) is tuple and len(values) == 2 and type(values[0]) is str
    return named and hasattr(values[1], "get_params")


def join(path: str, key: Any) -> str:
    """Return the path of a parameter or attribute."""
    return path if key in UNNAMED else f"{path}.{key}" if path else str(key)


def _path_of(value: Any, i: int, path: str) -> str:
    return join(path, value[0]) if is_step(value) else f"{path}[{i}]"


def _without_padding(array: NDArray[Any]) -> NDArray[Any]:
    """Set the bytes between the fields to 0, since they can be of other data."""
    if array.dtype.names is None:
        return array
    clean = np.zeros(array.shape, dtype=array.dtype)
    for name in array.dtype.names:
        clean[name] = array[name]
    return clean


def _describe(value: Any, path: str) -> str:
    """Return the error of a value that cannot be stored."""
    if isinstance(value, _CODE) or (callable(value) and not isinstance(value, type)):
        name = getattr(value, "__qualname__", type(value).__qualname__)
        return (
            f"{path}: expected a value, got the function or class {name!r}; a model "
            "file holds no code. Pass a name in its place, such as that of a network "
            "with its file, Backbone(name, weights=path), or an estimator of a class "
            "of your own, which load_model(path, trusted=[...]) allows; or set the "
            "parameter to None if only fit needs it."
        )
    return (
        f"{path}: expected numbers, text, arrays, containers of them and estimators, "
        f"got {name_of(type(value))}; set the parameter to None, leave the attribute "
        "out of __getstate__, or give its class get_params and set_params."
    )
