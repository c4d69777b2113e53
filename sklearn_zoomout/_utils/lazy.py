"""Sequences of arrays that are computed when they are asked for."""

import copy
from collections.abc import Callable, Sequence
from numbers import Integral
from typing import Any, Self, overload

import numpy as np
from numpy.typing import NDArray


class LazySequence(Sequence[NDArray[Any]]):
    """A sequence of arrays, each read whenever it is asked for. Nothing is kept.

    Parameters
    ----------
    read : callable
        Returns the array of an item. To be pickled, it must be a function of a module.
    items : sequence
        What ``read`` is called with.
    """

    def __init__(self, read: Callable[[Any], NDArray[Any]], items: Sequence[Any]):
        self._read = read
        self._items = items

    def __repr__(self) -> str:
        return f"{type(self).__name__}({len(self)} arrays, not in memory)"

    def __len__(self) -> int:
        return len(self._items)

    @property
    def items(self) -> Sequence[Any]:
        """What each array is read from, such as paths."""
        return self._items

    @property
    def shape(self) -> tuple[int]:
        """The number of arrays, as scikit-learn looks it up."""
        return (len(self),)

    @overload
    def __getitem__(self, key: int) -> NDArray[Any]: ...
    @overload
    def __getitem__(self, key: "slice | NDArray[Any] | list[int]") -> Self: ...
    def __getitem__(self, key: Any) -> Any:
        """Read the array of an integer; any other index returns a sequence."""
        if isinstance(key, tuple):  # scikit-learn indexes arrays as X[rows, ...]
            key = key[0]
        if isinstance(key, Integral):
            return self._read(self._items[int(key)])
        positions = np.arange(len(self))[key]
        part = copy.copy(self)
        part._items = [self._items[i] for i in positions]
        return part
