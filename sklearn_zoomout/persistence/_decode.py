"""From JSON and arrays to an estimator."""

import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..exceptions import ModelVersionWarning
from ._checks import FormatError, parse_dtype
from ._classes import find_class, is_known
from ._codecs import find_codec
from ._encode import LONGEST_RANGE, join
from ._values import (
    build_distribution,
    build_dtype,
    build_random,
    build_scorer,
    build_sparse,
)

_BUILDERS: dict[str, Callable[..., Any]] = {
    "dtype": build_dtype,
    "random": build_random,
    "sparse": build_sparse,
    "distribution": build_distribution,
    "scorer": build_scorer,
}


class Decoder:
    """Builds what an `Encoder` has turned into nodes.

    Parameters
    ----------
    read_array : callable
        Returns the array of a number.
    n_arrays : int
        How many there are.
    trusted : mapping of str to type
        The classes that the caller allows, by their names.
    version : str
        The version of the library that wrote the file.
    """

    def __init__(
        self,
        read_array: Callable[[int], NDArray[Any]],
        n_arrays: int,
        trusted: Mapping[str, type],
        version: str,
    ) -> None:
        self._read_array = read_array
        self._n_arrays = n_arrays
        self._trusted = trusted
        self._version = version
        self._arrays: dict[int, NDArray[Any]] = {}
        self._objects: list[Any] = []

    def decode(self, node: Any, path: str = "") -> Any:
        """Return the value of a node.

        Parameters
        ----------
        node : object
            What JSON can hold.
        path : str, default=""
            Where the value is, for errors and warnings.

        Returns
        -------
        object

        Raises
        ------
        FormatError
            If the node is none, or its class is not allowed.
        """
        if node is None or type(node) in (bool, int, float, str):
            return node
        if type(node) is list:
            return [
                self.decode(n, self._path_of(n, i, path)) for i, n in enumerate(node)
            ]
        if type(node) is not dict or len(node) != 1:
            raise FormatError(f"{path or 'model'}: expected a node, got {node!r:.80}")
        ((tag, content),) = node.items()
        if tag in _BUILDERS:
            parts = [self.decode(n, path) for n in content]
            return self._keep(_BUILDERS[tag](*parts))
        if tag not in _NODES:
            raise FormatError(f"{path or 'model'}: expected a node, got {tag!r:.80}")
        return _NODES[tag](self, content, path)

    def check_all_read(self) -> None:
        """Raise FormatError if no node has named one of the arrays."""
        unread = set(range(self._n_arrays)).difference(self._arrays)
        if unread:
            raise FormatError(f"expected a use of every array, got none of {unread}")

    @staticmethod
    def _path_of(node: Any, i: int, path: str) -> str:
        """Return the path of an item: that of its name, if it is a named step."""
        match node:
            case {"tuple": [str(name), {"object": _}]}:
                return join(path, name)
        return f"{path}[{i}]"

    def _float(self, content: Any, path: str) -> float:
        if content not in ("nan", "inf", "-inf"):
            raise FormatError(f"{path}: expected nan or inf, got {content!r:.80}")
        return float(content)

    def _number(self, content: Any, path: str) -> Any:
        descr, value = content
        dtype = parse_dtype(descr)
        if dtype.kind not in "biufU":
            raise FormatError(f"{path}: expected a number, got {descr!r:.80}")
        number = self.decode(value, path)
        if type(number) not in (bool, int, float, str):
            raise FormatError(f"{path}: expected a number, got {value!r:.80}")
        return dtype.type(number)

    def _tuple(self, content: Any, path: str) -> tuple[Any, ...]:
        if len(content) == 2 and type(content[0]) is str:
            return tuple(self.decode(node, path) for node in content)
        return tuple(self.decode(list(content), path))

    def _set(self, content: Any, path: str) -> set[Any]:
        return set(self.decode(list(content), path))

    def _frozenset(self, content: Any, path: str) -> frozenset[Any]:
        return frozenset(self._set(content, path))

    def _dict(self, content: Any, path: str) -> dict[Any, Any]:
        found = {}
        for key_node, node in content:
            key = self.decode(key_node, path)
            found[key] = self.decode(node, join(path, key))
        return found

    def _slice(self, content: Any, path: str) -> slice:
        start, stop, step = self.decode(content, path)
        return slice(start, stop, step)

    def _range(self, content: Any, path: str) -> range:
        start, stop, step = self.decode(content, path)
        found = range(start, stop, step)
        if len(found) > LONGEST_RANGE:
            raise FormatError(f"{path}: expected a shorter range, got {found}")
        return found

    def _path(self, content: Any, path: str) -> Path:
        return Path(content)

    def _array(self, content: Any, path: str) -> NDArray[Any]:
        if type(content) is not int or not 0 <= content < self._n_arrays:
            raise FormatError(
                f"{path}: expected the number of an array, got {content!r}"
            )
        if content not in self._arrays:
            self._arrays[content] = self._read_array(content)
        return self._arrays[content]

    def _ref(self, content: Any, path: str) -> Any:
        if type(content) is not int or not 0 <= content < len(self._objects):
            raise FormatError(f"{path}: expected an earlier object, got {content!r}")
        return self._objects[content]

    def _object_array(self, content: Any, path: str) -> NDArray[Any]:
        shape, nodes = content
        flat = np.empty(len(nodes), dtype=object)
        for i, node in enumerate(nodes):
            flat[i] = self.decode(node, path)
        return self._keep(flat.reshape(shape))

    def _masked(self, content: Any, path: str) -> Any:
        data, mask, fill = self.decode(list(content), path)
        if not all(isinstance(part, np.ndarray) for part in (data, mask)):
            raise FormatError(f"{path}: expected arrays, got others")
        return self._keep(np.ma.MaskedArray(data, mask=mask, fill_value=fill))

    def _object(self, content: Any, path: str) -> Any:
        name, nodes, version = content
        cls = find_class(name, self._trusted)
        codec = find_codec(name, cls)
        if codec is None or type(nodes) is not dict:
            raise FormatError(f"{path or 'model'}: {name} cannot be built from a file")
        state = {key: self.decode(node, join(path, key)) for key, node in nodes.items()}
        now = getattr(cls, "cache_version", None) if is_known(name) else None
        if version != now:
            self._warn(name, version, now, path)
        return self._keep(codec.build(cls, state))

    def _warn(self, name: str, version: Any, now: Any, path: str) -> None:
        short = name.rpartition(".")[2]
        warnings.warn(
            f"{path or 'model'}: this {short} was fitted by sklearn-zoomout "
            f"{self._version}, whose version of its results is {version}; here it is "
            f"{now}, so that it computes something else than in fit. Install "
            "that version of sklearn-zoomout, or fit again.",
            ModelVersionWarning,
            stacklevel=2,
        )

    def _keep(self, value: Any) -> Any:
        """Remember what later nodes may refer to."""
        self._objects.append(value)
        return value


_NODES: dict[str, Callable[..., Any]] = {
    "float": Decoder._float,
    "number": Decoder._number,
    "tuple": Decoder._tuple,
    "set": Decoder._set,
    "frozenset": Decoder._frozenset,
    "dict": Decoder._dict,
    "slice": Decoder._slice,
    "range": Decoder._range,
    "path": Decoder._path,
    "array": Decoder._array,
    "ref": Decoder._ref,
    "objects": Decoder._object_array,
    "masked": Decoder._masked,
    "object": Decoder._object,
}
