"""Arrays that stay in their files until asked for."""

from collections.abc import Callable, Iterable, Sequence
from numbers import Integral
from typing import Any, overload

import numpy as np
from numpy.typing import NDArray


class FileSequence(Sequence[NDArray[Any]]):
    """A sequence of arrays, each read from its file whenever it is asked for.

    It takes the place of a list of arrays: in scikit-learn's splitters and searches,
    in every ``fit`` and ``predict`` and in the measures of this package. Nothing is
    kept: a second access reads again, and pickling it for another process copies
    names of files only. A cache, such as a pipeline's ``memory``, therefore tells two
    of them apart by the names of their files, not by what is in these.

    Parameters
    ----------
    read : callable
        Returns the array of one of ``files``. To be pickled, it must be a function
        of a module.
    files : iterable
        What to read: anything that ``read`` understands.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_zoomout.datasets._files import FileSequence
    >>> arrays = FileSequence(np.load, ["a.npy", "b.npy", "c.npy"])
    >>> arrays[[0, 2]]
    FileSequence(2 arrays, not in memory)
    """

    def __init__(self, read: Callable[[Any], NDArray[Any]], files: Iterable[Any]):
        self._read = read
        self._files = list(files)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({len(self)} arrays, not in memory)"

    def __len__(self) -> int:
        return len(self._files)

    @property
    def shape(self) -> tuple[int]:
        """The number of arrays, as scikit-learn looks it up."""
        return (len(self),)

    @overload
    def __getitem__(self, key: int) -> NDArray[Any]: ...
    @overload
    def __getitem__(
        self, key: "slice | NDArray[Any] | list[int]"
    ) -> "FileSequence": ...
    def __getitem__(self, key: Any) -> Any:
        """Read the array of an integer; any other index gives a `FileSequence`."""
        if isinstance(key, tuple):  # scikit-learn indexes arrays as X[rows, ...]
            key = key[0]
        if isinstance(key, Integral):
            return self._read(self._files[int(key)])
        positions = np.arange(len(self))[key]
        return FileSequence(self._read, (self._files[i] for i in positions))
