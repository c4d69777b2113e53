"""What a raster reads from: an array, or a file."""

from collections.abc import Sequence
from contextlib import AbstractContextManager, ExitStack, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._utils.foreign_files import explain_damage
from .._utils.memory_maps import forget_pages
from ._window import Window


@dataclass(frozen=True)
class Georeference:
    """Where on the Earth an image lies.

    Parameters
    ----------
    profile : dict
        The coordinate system and the transform, as arguments of ``rasterio.open``.
    tags : tuple
        Instead of them the tags of a GeoTIFF, as ``extratags`` of tifffile.
    """

    profile: dict[str, Any] = field(default_factory=dict)
    tags: tuple[Any, ...] = ()


class Source:
    """Reads windows with all or some channels.

    Attributes
    ----------
    shape : tuple of int
        Height, width and number of channels.
    dtype : dtype
        Of the values.
    nodata : float or None
        The value that the file gives to pixels without data.
    has_mask : bool
        Whether `read_mask` tells which pixels have data.
    georeference : Georeference or None
        Where the image lies.
    block : tuple of int or None
        Height and width of the blocks that are read at a time.
    """

    shape: tuple[int, int, int]
    dtype: np.dtype[Any]
    nodata: float | None = None
    has_mask: bool = False
    georeference: Georeference | None = None
    block: tuple[int, int] | None = None

    def read(self, window: Window, channels: Sequence[int]) -> NDArray[Any]:
        """Return the values of a window, of shape (height, width, n_channels)."""
        raise NotImplementedError

    def read_mask(self, window: Window) -> NDArray[np.bool_]:
        """Return which pixels of a window have data, of shape (height, width)."""
        raise NotImplementedError

    def read_overview(
        self, height: int, width: int, channels: Sequence[int]
    ) -> tuple[NDArray[Any], NDArray[np.bool_] | None] | None:
        """Return the whole image reduced, and its mask, if the file contains that."""
        return None

    def close(self) -> None:
        """Close the file."""


class ArraySource(Source):
    """Reads windows of anything that has a shape, a dtype, and slices like an array.

    Parameters
    ----------
    array : array-like of 2 or 3 dimensions
        It is sliced, and each slice is converted by `numpy.asarray`.
    channels_first : bool, default=False
        Whether a third dimension is the first one.
    alpha : int, default=None
        The position of the channel that is zero where a pixel has no data. It is not
        among the channels.
    own_map : bool, default=False
        Whether the array is a map of a file that nobody else reads.
    lock : context manager, default=None
        Held while the array is sliced.
    files : ExitStack, default=None
        What `close` closes.
    path : path, default=None
        The file of the array, for errors.
    """

    def __init__(
        self,
        array: Any,
        *,
        channels_first: bool = False,
        alpha: int | None = None,
        own_map: bool = False,
        lock: AbstractContextManager[Any] | None = None,
        files: ExitStack | None = None,
        path: Path | None = None,
    ):
        shape = tuple(int(size) for size in array.shape)
        if len(shape) == 2:
            shape = (*shape, 1)
        elif channels_first:
            shape = (*shape[1:], shape[0])
        height, width, n_channels = shape
        self._all = [channel for channel in range(n_channels) if channel != alpha]
        self.shape = (height, width, len(self._all))
        self.dtype = np.dtype(array.dtype).newbyteorder("=")
        self.has_mask = alpha is not None
        chunks = getattr(array, "chunks", None)
        if chunks and len(chunks) == array.ndim:
            # Dask gives the sizes of all chunks, zarr and h5py one size.
            sizes = [c if isinstance(c, int) else max(c) for c in chunks]
            rows = int(channels_first and array.ndim == 3)
            self.block = (int(sizes[rows]), int(sizes[rows + 1]))
        self._array = array
        self._first = channels_first
        self._alpha = alpha
        self._own_map = own_map
        self._lock = nullcontext() if lock is None else lock
        self._files = ExitStack() if files is None else files
        self._path = path

    def read(self, window: Window, channels: Sequence[int]) -> NDArray[Any]:
        """Return the values of a window, of shape (height, width, n_channels)."""
        return self._slice(window, [self._all[channel] for channel in channels])

    def read_mask(self, window: Window) -> NDArray[np.bool_]:
        """Return which pixels of a window have data, of shape (height, width)."""
        assert self._alpha is not None
        return np.asarray(self._slice(window, [self._alpha])[..., 0] > 0)

    def _slice(self, window: Window, channels: list[int]) -> NDArray[Any]:
        rows, columns = window.slices
        with self._lock, self._explained():
            if self._array.ndim == 2:
                values = np.asarray(self._array[rows, columns])[..., None]
            elif not self._first:
                values = np.asarray(self._array[rows, columns])[..., channels]
            else:
                planes = [self._array[i, rows, columns] for i in channels]
                values = np.stack([np.asarray(plane) for plane in planes], axis=-1)
            # A copy of its own: the caller may change it.
            values = np.array(values, self.dtype, order="C", subok=False)
            if self._own_map:
                forget_pages(self._array)
        return values

    def _explained(self) -> AbstractContextManager[None]:
        """Return what names the file in errors. Those of arrays are theirs."""
        if self._path is None:
            return nullcontext()
        cure = "the file may be damaged or closed"
        return explain_damage(self._path, "read in a window", cure)

    def close(self) -> None:
        """Close the files."""
        self._files.close()


class PaletteSource(Source):
    """Reads the colors of a source whose values are positions in a palette.

    Parameters
    ----------
    source : Source
        It has one channel.
    palette : ndarray of uint8 of shape (n_colors, 3)
        The colors. Values beyond the palette are black.
    """

    def __init__(self, source: Source, palette: NDArray[np.uint8]):
        # Black follows the palette.
        self._colors = np.concatenate([palette, np.zeros((1, 3), np.uint8)])
        self._source = source
        self.shape = (*source.shape[:2], 3)
        self.dtype = np.dtype(np.uint8)
        self.has_mask = source.has_mask or source.nodata is not None
        self.georeference = source.georeference
        self.block = source.block

    def read(self, window: Window, channels: Sequence[int]) -> NDArray[Any]:
        """Return the colors of a window, of shape (height, width, n_channels)."""
        positions = self._source.read(window, [0])[..., 0]
        beyond = len(self._colors) - 1
        inside = (positions >= 0) & (positions < beyond)
        colors = np.ascontiguousarray(self._colors[:, channels])
        return colors[np.where(inside, positions, beyond).astype(np.intp)]

    def read_mask(self, window: Window) -> NDArray[np.bool_]:
        """Return which pixels of a window have data, of shape (height, width)."""
        mask = np.ones(window.shape, bool)
        if self._source.nodata is not None:
            mask &= self._source.read(window, [0])[..., 0] != self._source.nodata
        if self._source.has_mask:
            mask &= self._source.read_mask(window)
        return mask

    def close(self) -> None:
        """Close the files."""
        self._source.close()
