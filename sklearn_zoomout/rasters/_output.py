"""The results of a large image, written window by window."""

import threading
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..masks import UNLABELED
from ._layout import Layout
from ._window import Window, check_window

Put = Callable[[Window, NDArray[Any]], None]


class RasterOutput:
    """What the results of windows are written to, made by `create_output`.

    It is a context manager. A file replaces an older one of the same name when the
    block ends, or by `close`. If the block raises an error, or the output is never
    closed, no file is written and an older one stays. Several threads may write at a
    time.

    Parameters
    ----------
    layout : object
        The shape and type of the output.
    opened : context manager
        Gives the function that writes a window.
    result : object
        What the windows are written to.

    Attributes
    ----------
    kind : {"labels", "probabilities"}
        What the values are.
    shape : tuple of int
        Height and width, and the number of classes of probabilities.
    dtype : numpy.dtype
        The dtype of the stored values.
    unlabeled : int or None
        What is stored for pixels without a label; None if there can be none, and for
        probabilities.
    result : ndarray, zarr array or pathlib.Path
        The array, or the path of the file, which is complete after `close`.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_zoomout.rasters import create_output, open_raster
    >>> raster = open_raster(np.zeros((4, 6, 3), np.uint8))
    >>> with create_output(None, raster, classes=[0, 7]) as output:
    ...     output.write(0, 0, np.full((4, 3), 7))
    ...     output.write(0, 3, np.full((4, 3), 0))
    >>> output.result[0]
    array([7, 7, 7, 0, 0, 0], dtype=uint8)
    """

    def __init__(
        self, layout: Layout, opened: AbstractContextManager[Put], result: Any
    ):
        self.kind = layout.kind
        self.shape = layout.shape
        self.dtype: np.dtype[Any] = layout.dtype
        self.unlabeled = layout.unlabeled
        self.result = result
        self._layout = layout
        self._lock = threading.Lock()
        self._files = ExitStack()
        self._put: Put | None = self._files.enter_context(opened)

    def write(self, top: int, left: int, values: ArrayLike) -> None:
        """Write the values of a window.

        Each pixel should be written once. What pixels hold that are never written is
        not defined.

        Parameters
        ----------
        top, left : int
            The first row and column of the window.
        values : array-like of shape (height, width) or (height, width, n_classes)
            The labels of the classes, -1 where a pixel has none; or the probabilities
            of the classes in the order of ``classes``, NaN where a pixel has no data.

        Raises
        ------
        ValueError
            If the shape or dtype is another, the window reaches over the border, a
            value is not the label of a class, or the output is closed.
        """
        values = np.asarray(values)
        if values.ndim != len(self.shape) or values.shape[2:] != self.shape[2:]:
            raise ValueError(
                f"values: expected shape {('height', 'width', *self.shape[2:])}, got "
                f"{values.shape}."
            )
        bottom, right = top + values.shape[0], left + values.shape[1]
        window = check_window(Window(top, left, bottom, right), self.shape)
        convert = self._labels if self.kind == "labels" else self._probabilities
        converted = convert(values)
        with self._lock:
            if self._put is None:
                raise ValueError("output: expected an open output, got a closed one.")
            self._put(window, converted)

    def _labels(self, values: NDArray[Any]) -> NDArray[Any]:
        if values.dtype.kind not in "iub":
            raise ValueError(f"values: expected labels, got dtype {values.dtype}.")
        lowest, highest = int(values.min()), int(values.max())
        if lowest < UNLABELED or highest > self._layout.classes.max():
            raise ValueError(
                f"values: expected labels of classes in 0..{self._layout.classes.max()}"
                f", or -1 for none, got {lowest}..{highest}."
            )
        if lowest != UNLABELED or self.unlabeled == UNLABELED:
            return values.astype(self.dtype)
        if self.unlabeled is None:
            raise ValueError(
                "values: expected a label for every pixel, got -1; pass unlabeled= to "
                "create_output, the value to store for pixels without a label."
            )
        # -1 is no value of an unsigned type, so it is replaced first.
        marked = values == UNLABELED
        converted = np.where(marked, values.dtype.type(0), values).astype(self.dtype)
        converted[marked] = self.unlabeled
        return converted

    def _probabilities(self, values: NDArray[Any]) -> NDArray[Any]:
        if values.dtype.kind != "f":
            raise ValueError(
                f"values: expected floating-point probabilities, got {values.dtype}."
            )
        return values.astype(self.dtype)

    def close(self) -> None:
        """Complete the output; a second call does nothing."""
        with self._lock:
            self._put = None
            self._files.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: Any) -> None:
        with self._lock:
            self._put = None
            self._files.__exit__(*error)

    def __repr__(self) -> str:
        return f"RasterOutput({self.kind}, shape={self.shape}, dtype={self.dtype})"
