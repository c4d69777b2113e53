"""The superpixels of a stored table, read from a file when they are used."""

from collections.abc import Sequence
from functools import cached_property
from numbers import Integral
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._utils.memory_maps import forget_pages, open_map
from ..superpixels import SegmentedImage, Superpixels
from ..superpixels._reading import Reading
from ._checksums import check_label_map
from ._layout import SEGMENT_TYPE, SEGMENTS, digest_image, pixels_of


class StoredSuperpixels(Superpixels):
    """Superpixels whose label maps are read from a file when they are used.

    Parameters
    ----------
    folder : path
        The folder that `store_features` wrote.
    records : ndarray of records of shape (n_stored,)
        Those of all stored images, see `record_type`.
    images : sequence of array-like of shape (height, width, 3), default=None
        All stored images. They are read when their pixels are used.
    positions : ndarray of integers of shape (n_images,), default=None
        The positions of these images among the stored ones. By default all stored
        images are meant.
    reading : Reading or None, default=None
        How the images are read. None is RGB or gray.
    """

    def __init__(
        self,
        folder: Path,
        records: NDArray[Any],
        images: Sequence[Any] | None = None,
        positions: NDArray[Any] | None = None,
        reading: Reading | None = None,
    ) -> None:
        self._folder = folder
        self._records = records
        self._images = images
        self._reading = reading or Reading()
        n_stored = len(records)
        self._positions = np.arange(n_stored) if positions is None else positions
        pixels = records["height"] * records["width"]
        self._starts = np.concatenate([[0], np.cumsum(pixels)])
        path, n_pixels = folder / SEGMENTS, int(self._starts[-1])
        self._segments = open_map(path, SEGMENT_TYPE, (n_pixels,))
        self._set_counts(records["n_segments"][self._positions])

    def __reduce__(self) -> Any:
        images = self._images, self._positions, self._reading
        parts = self._folder, self._records, *images
        return StoredSuperpixels, parts

    def __len__(self) -> int:
        return len(self._positions)

    def __getitem__(self, key: Any) -> Any:
        """Return one segmented image for an integer, else `Superpixels`."""
        if isinstance(key, tuple):  # scikit-learn indexes arrays as X[rows, ...]
            key = key[0]
        if not isinstance(key, Integral):
            rest = self._images, self._positions[key], self._reading
            return StoredSuperpixels(self._folder, self._records, *rest)
        i = int(self._positions[int(key)])
        height, width = self._records[["height", "width"]][i].item()
        stored = self._segments[self._starts[i] : self._starts[i + 1]]
        check_label_map(self._folder, self._records, i, stored)
        flat = stored.astype(np.int32)
        forget_pages(self._segments)
        return _StoredImage(self, i, flat.reshape(height, width), self._records[i])

    are_windows = False

    @property
    def has_nodata(self) -> NDArray[np.bool_]:
        """Whether each image has pixels without data, of shape (n_images,)."""
        return self._records["nodata_segment"][self._positions] >= 0

    def read_image(self, i: int) -> NDArray[Any]:
        """Read the pixels of a stored image.

        Parameters
        ----------
        i : int
            The position among all stored images.

        Returns
        -------
        ndarray of shape (height, width, n_channels)

        Raises
        ------
        ValueError
            If no images were given, or the image differs from the stored one.
        """
        if self._images is None:
            raise ValueError(
                f"images[{i}]: the pixels are not stored; pass the images to "
                "open_features(folder, images)."
            )
        image = pixels_of(self._images[i], self._reading, f"images[{i}]")
        if digest_image(image) != self._records["digest"][i]:
            raise ValueError(
                f"images[{i}]: expected the image whose features are stored in "
                f"{self._folder}, got an image with other pixels; pass the same images "
                "in the same order."
            )
        return image


class _StoredImage(SegmentedImage):
    """A segmented image whose pixels are read when they are used."""

    def __init__(
        self,
        source: StoredSuperpixels,
        position: int,
        segments: NDArray[np.int32],
        record: Any,
    ) -> None:
        self._source = source
        self._position = position
        self._record = record
        self.segments = segments
        self.n_segments = int(record["n_segments"])
        nodata = int(record["nodata_segment"])
        self.nodata_segment = None if nodata < 0 else nodata
        self._bands = int(record["n_bands"]) > 0
        self._share()

    def __reduce__(self) -> Any:
        parts = self._source, self._position, self.segments, self._record
        return _StoredImage, parts

    @property
    def n_bands(self) -> int | None:
        """The number of bands, None of an RGB or gray image."""
        return int(self._record["n_bands"]) or None

    @cached_property
    def image(self) -> NDArray[Any]:  # type: ignore[override]
        return self._source.read_image(self._position)
