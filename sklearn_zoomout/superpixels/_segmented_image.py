"""An image with its superpixels: their graph, regions and boxes (section 4.1)."""

from functools import cached_property
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from .._utils.digests import digest_array
from .._utils.shared_results import SharedResults
from ..descriptors import bands_to_lightness, rgb_to_lab
from ..images import as_float, check_values
from ._label_maps import borders, renumber

# Enough for the color, texture and word counts of two models with own dictionaries.
_SHARED_AT_ONCE = 6


class SegmentedImage:
    """An image and its superpixels.

    Parameters
    ----------
    image : ndarray of shape (height, width, n_channels)
        uint8, or floating point in 0..1. The array is not copied. Three channels are
        red, green and blue, also of a gray image. Others are bands.
    segments : ndarray of integers of shape (height, width)
        The label map. Pixels of equal label form a superpixel. Labels may be any
        integers. They are renumbered from 0 in ascending order.
    valid : ndarray of bool of shape (height, width) or None, default=None
        Where there are data. The other pixels form one superpixel, the last, which
        borders on none. Give them the mean of the others. None is everywhere.
    bands : bool, default=False
        Whether three channels are bands too.

    Attributes
    ----------
    image : ndarray of shape (height, width, n_channels)
        The image, unchanged.
    segments : ndarray of int32 of shape (height, width)
        The label map, with labels 0 to ``n_segments - 1``.
    n_segments : int
        Number of superpixels.
    nodata_segment : int or None
        The number of the superpixel without data, if there is one.
    shared : SharedResults
        Results for this image that several levels share, such as the number of pixels
        of each texton in each superpixel. It is not pickled.
    passes : Passes or None
        The feature maps of this image, while a `ZoomoutUnion` computes its features.
    place : Place or None
        Where this image lies in a larger one, if it is a window of it.

    Raises
    ------
    ValueError
        If the shapes differ, the label map holds no integers, or the image has NaN or
        values outside of its range.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_zoomout import SegmentedImage
    >>> segments = np.array([[0, 0, 1, 2], [0, 0, 1, 2]])
    >>> segmented = SegmentedImage(np.zeros((2, 4, 3)), segments)
    >>> segmented.areas
    array([4, 2, 2])
    >>> segmented.neighborhood(1).toarray()
    array([[1., 1., 0.],
           [1., 1., 1.],
           [0., 1., 1.]], dtype=float32)
    >>> segmented.region_boxes(1)
    array([[0, 0, 2, 3],
           [0, 0, 2, 4],
           [0, 2, 2, 4]])
    """

    #: The bands that `rgb` shows, of a copy that `show` has made.
    _shown: tuple[int, int, int] | None = None

    def __init__(
        self,
        image: NDArray[Any],
        segments: NDArray[Any],
        valid: NDArray[np.bool_] | None = None,
        *,
        bands: bool = False,
    ) -> None:
        segments = np.asarray(segments)
        if segments.shape != image.shape[:2]:
            raise ValueError(
                f"segments: expected shape {image.shape[:2]}, as the image has, "
                f"got {segments.shape}."
            )
        if segments.dtype.kind not in "iu":
            raise ValueError(
                f"segments: expected integer labels, got dtype {segments.dtype}."
            )
        self.image = image
        self.segments: NDArray[np.int32] = renumber(segments)
        self.n_segments = int(self.segments.max()) + 1
        self.nodata_segment: int | None = None
        self._bands = bands
        if valid is not None:
            self._separate(np.asarray(valid))
        check_values(image, "image", valid)
        self._share()

    def _separate(self, valid: NDArray[np.bool_]) -> None:
        """Make pixels without data the last superpixel."""
        if valid.shape != self.segments.shape or valid.dtype != np.bool_:
            raise ValueError(
                f"valid: expected booleans of shape {self.segments.shape}, as the "
                f"image has, got dtype {valid.dtype} and shape {valid.shape}."
            )
        if valid.all():
            return
        self.segments = renumber(np.where(valid, self.segments, self.n_segments))
        self.n_segments = int(self.segments.max()) + 1
        self.nodata_segment = self.n_segments - 1

    def _share(self) -> None:
        self.shared = SharedResults(_SHARED_AT_ONCE)
        self.passes: Any = None
        self.place: Any = None

    def with_passes(self, passes: Any) -> Self:
        """Return a copy of this object whose levels share forward passes.

        The image and the superpixels are not copied.

        Parameters
        ----------
        passes : Passes
            Holds the feature maps of the forward passes.

        Returns
        -------
        SegmentedImage
            All other attributes are those of this object.
        """
        return self._copy_with(passes=passes)

    def with_place(self, place: Any) -> Self:
        """Return a copy of this object that is a window of a larger image.

        Parameters
        ----------
        place : Place
            Where it lies in the larger image, and what lies around it.

        Returns
        -------
        SegmentedImage
            All other attributes are those of this object.
        """
        return self._copy_with(place=place)

    def _copy_with(self, **changed: Any) -> Self:
        view = object.__new__(type(self))
        view.__dict__.update(self.__dict__, **changed)
        return view

    def __getstate__(self) -> dict[str, Any]:
        # Cached properties and feature maps are not sent to other processes.
        kept = ("image", "segments", "n_segments", "shared", "nodata_segment", "_bands")
        return {n: getattr(self, n) for n in kept} | dict.fromkeys(("passes", "place"))

    def __repr__(self) -> str:
        height, width = self.shape
        return (
            f"{type(self).__name__}({height} x {width} pixels, "
            f"{self.n_segments} superpixels)"
        )

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width in pixels."""
        return self.segments.shape[0], self.segments.shape[1]

    @property
    def n_bands(self) -> int | None:
        """The number of bands, None of an RGB or gray image."""
        n = int(self.image.shape[2])
        return n if self._bands or n != 3 else None

    @property
    def channels(self) -> NDArray[np.float32]:
        """All channels as float32 in 0..1, of shape (height, width, n_channels)."""
        return as_float(self.image)

    @property
    def rgb(self) -> NDArray[np.float32]:
        """The image as float32 in 0..1, of shape (height, width, 3).

        Raises
        ------
        ValueError
            If the image has bands, so that nothing says which are red, green and blue.
        """
        if self._shown is not None:
            return as_float(self.image[..., list(self._shown)])
        if self.n_bands is not None:
            raise ValueError(
                f"image: expected RGB or gray, got {self.n_bands} bands; use "
                "segmented.channels, or segmented.show((2, 1, 0)).rgb."
            )
        return as_float(self.image)

    @property
    def colors(self) -> NDArray[np.float32]:
        """The image in L*a*b*, or every band as lightness L*, (height, width, n)."""
        if self.n_bands is None:
            return rgb_to_lab(self.image)
        return bands_to_lightness(self.image)

    @property
    def valid(self) -> NDArray[np.bool_]:
        """Where there are data, of shape (height, width)."""
        if self.nodata_segment is None:
            return np.ones(self.shape, dtype=bool)
        return self.segments != self.nodata_segment

    def show(self, bands: tuple[int, int, int]) -> Self:
        """Return a copy of this object whose `rgb` shows three of the bands.

        The image and the superpixels are not copied.

        Parameters
        ----------
        bands : tuple of 3 int
            The bands to see as red, green and blue.

        Returns
        -------
        SegmentedImage
            All other attributes are those of this object.
        """
        passes = None if self.passes is None else self.passes.of(bands)
        return self._copy_with(_shown=bands, passes=passes)

    def mark_nodata(self, values: NDArray[Any]) -> NDArray[Any]:
        """Set the pixels without data of a map to -1, or to NaN if it is of floats.

        Parameters
        ----------
        values : ndarray of shape (height, width, ...)
            Labels or probabilities of all pixels. They are changed in place.

        Returns
        -------
        ndarray
            The same array, or a copy of a signed type if it is unsigned.
        """
        if self.nodata_segment is not None:
            if values.dtype.kind == "u":
                values = values.astype(np.promote_types(values.dtype, np.int8))
            values[~self.valid] = np.nan if values.dtype.kind == "f" else -1
        return values

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the image and its label map, in hexadecimal."""
        digest = digest_array(self.image) + digest_array(self.segments)
        # RGB images without gaps keep the digests that they have always had.
        if self._bands or self.nodata_segment is not None:
            digest += f" bands={self._bands} nodata={self.nodata_segment}"
        return digest

    @cached_property
    def areas(self) -> NDArray[np.int64]:
        """Number of pixels of each superpixel, of shape (n_segments,)."""
        labels, _, _, lengths = self._runs
        return np.bincount(labels, lengths).astype(np.int64)

    @cached_property
    def centroids(self) -> NDArray[np.float64]:
        """Mean row and column of each superpixel, of shape (n_segments, 2)."""
        return self._coordinate_sums / self.areas[:, None]

    @cached_property
    def boxes(self) -> NDArray[np.int64]:
        """Bounding boxes (top, left, bottom, right) of shape (n_segments, 4).

        In pixels, half-open. A box covers the rows top to bottom - 1 and the columns
        left to right - 1.
        """
        labels, rows, columns, lengths = self._runs
        # The sort is stable, so that the runs of a superpixel stay in row-major order.
        order = np.argsort(labels, kind="stable")
        ends = np.cumsum(np.bincount(labels))
        starts = np.concatenate([[0], ends[:-1]])
        return np.stack(
            [
                rows[order][starts],
                np.minimum.reduceat(columns[order], starts),
                rows[order][ends - 1] + 1,
                np.maximum.reduceat((columns + lengths)[order], starts),
            ],
            axis=1,
        )

    @cached_property
    def adjacency(self) -> sparse.csr_array:
        """The graph of superpixels that share a boundary (4-connectivity).

        A symmetric boolean csr array of shape (n_segments, n_segments) with an empty
        diagonal.
        """
        first, second = borders(self.segments)
        if self.nodata_segment is not None:
            # What lies on both sides of a gap is not near.
            near = (first != self.nodata_segment) & (second != self.nodata_segment)
            first, second = first[near], second[near]
        ones = np.ones(2 * len(first), dtype=bool)
        both_ways = (np.r_[first, second], np.r_[second, first])
        graph = sparse.coo_array((ones, both_ways), shape=(self.n_segments,) * 2)
        return graph.tocsr()

    def neighborhood(self, radius: int) -> sparse.csr_array:
        """Return the superpixels within a graph distance of each superpixel.

        Parameters
        ----------
        radius : int
            Largest number of steps on the superpixel graph. 0 is the superpixel alone,
            2 is the paper's proximal region, and 3 is its distant region.

        Returns
        -------
        csr_array of float32 of shape (n_segments, n_segments)
            Ones and implicit zeros. The product with an array of one row per superpixel
            contains the sums over the regions.
        """
        reached = sparse.eye_array(self.n_segments, dtype=np.float32, format="csr")
        step = reached + self.adjacency.astype(np.float32)
        for _ in range(radius):
            reached = reached @ step
            reached.data[:] = 1
        return reached

    def region_areas(self, radius: int) -> NDArray[np.int64]:
        """Return the number of pixels of each region, of shape (n_segments,).

        The region of a superpixel is its `neighborhood` of this radius.
        """
        return self.neighborhood(radius).astype(np.int64) @ self.areas

    def region_centroids(self, radius: int) -> NDArray[np.float64]:
        """Return the mean row and column of each region, of shape (n_segments, 2)."""
        near = self.neighborhood(radius).astype(np.float64)
        return (near @ self._coordinate_sums) / (near @ self.areas)[:, None]

    def region_boxes(self, radius: int) -> NDArray[np.int64]:
        """Return the bounding boxes of the regions, like `boxes`."""
        # Each step joins the boxes of all neighbors, along contiguous memory.
        near = self.neighborhood(min(radius, 1))
        starts, sides = near.indptr[:-1], self.boxes.T.copy()
        for _ in range(radius):
            members = sides[:, near.indices]
            np.minimum.reduceat(members[:2], starts, axis=1, out=sides[:2])
            np.maximum.reduceat(members[2:], starts, axis=1, out=sides[2:])
        return sides.T.copy()

    def count(self, codes: NDArray[Any], n_codes: int) -> NDArray[np.int64]:
        """Count the pixels of each code in each superpixel.

        Parameters
        ----------
        codes : ndarray of integers of shape (height, width)
            A code from 0 to ``n_codes - 1`` for each pixel.
        n_codes : int
            Number of different codes.

        Returns
        -------
        ndarray of shape (n_segments, n_codes)
        """
        cells = np.multiply(self.segments, n_codes, dtype=np.int64)
        cells += codes
        counts = np.bincount(cells.ravel(), minlength=self.n_segments * n_codes)
        return counts.reshape(self.n_segments, n_codes)

    @cached_property
    def _coordinate_sums(self) -> NDArray[np.float64]:
        labels, rows, columns, lengths = self._runs
        # The columns of a run are consecutive numbers, so their sum has a closed form.
        sums = (rows * lengths, lengths * (2 * columns + lengths - 1) / 2)
        return np.stack([np.bincount(labels, weights=sum_) for sum_ in sums], axis=1)

    @cached_property
    def _runs(self) -> tuple[NDArray[Any], ...]:
        """Label, row, first column and length of each row of pixels of one label."""
        height, width = self.shape
        begins = np.ones((height, width), dtype=bool)
        np.not_equal(self.segments[:, 1:], self.segments[:, :-1], out=begins[:, 1:])
        starts = np.flatnonzero(begins)
        lengths = np.diff(starts, append=height * width)
        return (self.segments.ravel()[starts], *np.divmod(starts, width), lengths)
