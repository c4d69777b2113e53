"""An image of which windows are read."""

from collections.abc import Sequence
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from ._reduce import block_means
from ._source import Georeference, Source
from ._window import Window, check_window

Number = int | float


class Raster:
    """An image of which windows are read, made by `open_raster`.

    It is a context manager that closes its file. Several threads may read at a time.

    Parameters
    ----------
    source : object
        What `open_raster` made of the file or array.
    channels : sequence of int
        The positions of the channels that are read.
    nodata : int or float or None
        The value of pixels without data.

    Attributes
    ----------
    shape : tuple of int
        Height, width and number of channels.
    dtype : numpy.dtype
        The dtype of the values.
    nodata : int or float or None
        The value of pixels without data, which may be NaN; None if there is no such
        value.
    has_nodata : bool
        Whether pixels may have no data, by their value, an alpha channel or a mask.
    georeference : object or None
        The coordinate system and the transform of a GeoTIFF. `create_output` writes
        them to the result. None for arrays and other files.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_zoomout.rasters import open_raster
    >>> with open_raster(np.zeros((500, 400, 3), np.uint8)) as raster:
    ...     window = raster.read(100, 0, 300, 250)
    >>> window.shape
    (200, 250, 3)
    """

    def __init__(self, source: Source, channels: Sequence[int], nodata: Number | None):
        self._source = source
        self._channels = list(channels)
        self.shape: tuple[int, int, int] = (*source.shape[:2], len(self._channels))
        self.dtype: np.dtype[Any] = source.dtype
        self.nodata = nodata
        self.has_nodata: bool = nodata is not None or source.has_mask
        self.georeference: Georeference | None = source.georeference

    def read(self, top: int, left: int, bottom: int, right: int) -> NDArray[Any]:
        """Read the values of a window.

        Parameters
        ----------
        top, left, bottom, right : int
            The rows ``top`` to ``bottom - 1`` and columns ``left`` to ``right - 1``.

        Returns
        -------
        ndarray of shape (height, width, n_channels)
            A copy, also of pixels without data.

        Raises
        ------
        ValueError
            If the window is empty or reaches over the border, or the file is damaged.
        """
        return self._read(self._check(top, left, bottom, right))

    def valid(
        self, top: int, left: int, bottom: int, right: int
    ) -> NDArray[np.bool_] | None:
        """Return which pixels of a window have data.

        Parameters
        ----------
        top, left, bottom, right : int
            As those of `read`.

        Returns
        -------
        ndarray of bool of shape (height, width), or None
            None if all pixels of the raster have data, ``has_nodata`` is False.

        Raises
        ------
        ValueError
            As `read`.
        """
        window = self._check(top, left, bottom, right)
        if not self.has_nodata:
            return None
        if self.nodata is None:
            return self._source.read_mask(window)
        return self._read_with_valid(window)[1]

    def read_with_valid(
        self, top: int, left: int, bottom: int, right: int
    ) -> tuple[NDArray[Any], NDArray[np.bool_] | None]:
        """Read the values of a window, and which of its pixels have data.

        The file is read once, not twice as by `read` and `valid`.

        Parameters
        ----------
        top, left, bottom, right : int
            As those of `read`.

        Returns
        -------
        values : ndarray of shape (height, width, n_channels)
            As from `read`.
        valid : ndarray of bool of shape (height, width), or None
            As from `valid`.

        Raises
        ------
        ValueError
            As `read`.
        """
        return self._read_with_valid(self._check(top, left, bottom, right))

    def read_reduced(
        self, height: int, width: int
    ) -> tuple[NDArray[Any], NDArray[np.bool_] | None]:
        """Read the whole image at a smaller size.

        Overviews of the file are used if there are any. Otherwise the whole file is
        read once, window by window, and each value is the mean of a block of pixels.
        Pixels without data do not count.

        Parameters
        ----------
        height, width : int
            The size, at most that of the image.

        Returns
        -------
        values : ndarray of shape (height, width, n_channels)
            Of the same dtype as the image; means are rounded for integers. Where no
            pixel has data it is ``nodata``, or 0 if that is None.
        valid : ndarray of bool of shape (height, width), or None
            Where at least one pixel has data; None as from `valid`.

        Raises
        ------
        ValueError
            If the size is not in 1 to that of the image, or the file is damaged.
        """
        if not (1 <= height <= self.shape[0] and 1 <= width <= self.shape[1]):
            raise ValueError(
                f"height, width: expected 1 to {self.shape[0]} and 1 to "
                f"{self.shape[1]}, the size of the image, got {height} and {width}."
            )
        # Overviews were computed with the file's own value, perhaps not with this one.
        if _same(self.nodata, self._source.nodata):
            reduced = self._source.read_overview(height, width, self._channels)
            if reduced is not None:
                return reduced[0], self._combine(*reduced)
        means, counts = block_means(
            self._read_with_valid, self.shape, height, width, self._source.block
        )
        if self.dtype.kind in "iub":
            means = np.rint(means)
        values = means.astype(self.dtype)
        if not self.has_nodata:
            return values, None
        valid = counts > 0
        values[~valid] = 0 if self.nodata is None else self.nodata
        return values, valid

    def close(self) -> None:
        """Close the file; nothing is done for an array."""
        self._source.close()

    def _check(self, *edges: int) -> Window:
        return check_window(Window(*edges), self.shape)

    def _read(self, window: Window) -> NDArray[Any]:
        return self._source.read(window, self._channels)

    def _read_with_valid(
        self, window: Window
    ) -> tuple[NDArray[Any], NDArray[np.bool_] | None]:
        values = self._read(window)
        mask = self._source.read_mask(window) if self._source.has_mask else None
        return values, self._combine(values, mask)

    def _combine(
        self, values: NDArray[Any], mask: NDArray[np.bool_] | None
    ) -> NDArray[np.bool_] | None:
        """Return which pixels have data, by the mask and by their values."""
        if self.nodata is None:
            return mask
        # An integer such as 0 is also an ordinary value of one of several channels.
        # In floating point such a value is no measurement in any channel.
        missing = values == self.nodata
        if self.dtype.kind == "f":
            valid = ~(missing | np.isnan(values)).any(axis=2)
        else:
            valid = ~missing.all(axis=2)
        return np.asarray(valid if mask is None else valid & mask)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"Raster(shape={self.shape}, dtype={self.dtype}, nodata={self.nodata})"


def _same(one: Number | None, other: Number | None) -> bool:
    return one == other or (one != one and other != other)
