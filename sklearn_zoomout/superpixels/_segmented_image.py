"""An image with its superpixels: their graph, regions and boxes (section 4.1)."""

from functools import cached_property
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from .._utils.digests import digest_array
from .._utils.shared_results import SharedResults
from ..images import as_float

# Enough for the color, texture and word counts of two models with own dictionaries.
_SHARED_AT_ONCE = 6


class SegmentedImage:
    """An image and its superpixels.

    Parameters
    ----------
    image : ndarray of shape (height, width, 3)
        uint8, or floating point in 0..1. The array is not copied.
    segments : ndarray of integers of shape (height, width)
        The label map. Pixels of equal label form a superpixel. Labels may be any
        integers. They are renumbered from 0 in ascending order.

    Attributes
    ----------
    image : ndarray of shape (height, width, 3)
        The image, unchanged.
    segments : ndarray of int32 of shape (height, width)
        The label map, with labels 0 to ``n_segments - 1``.
    n_segments : int
        Number of superpixels.
    shared : SharedResults
        Results for this image that several levels share, such as the number of pixels
        of each texton in each superpixel. It is not pickled.
    passes : Passes or None
        The feature maps of this image, while a `ZoomoutUnion` computes its features.
    place : Place or None
        Where this image lies in a larger one, if it is a window of it.

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

    def __init__(self, image: NDArray[Any], segments: NDArray[Any]) -> None:
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
        self.segments: NDArray[np.int32] = _renumber(segments)
        self.n_segments = int(self.segments.max()) + 1
        self._share()

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
        kept = ("image", "segments", "n_segments", "shared")
        state = {name: getattr(self, name) for name in kept}
        return state | {"passes": None, "place": None}

    def __repr__(self) -> str:
        height, width = self.shape
        return (
            f"{type(self).__name__}({height} x {width} pixels, "
            f"{self.n_segments} superpixels)"
        )

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width in pixels."""
        height, width = self.segments.shape
        return height, width

    @property
    def rgb(self) -> NDArray[np.float32]:
        """The image as float32 in 0..1, of shape (height, width, 3)."""
        return as_float(self.image)

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the image and its label map, in hexadecimal."""
        return digest_array(self.image) + digest_array(self.segments)

    @cached_property
    def areas(self) -> NDArray[np.int64]:
        """Number of pixels of each superpixel, of shape (n_segments,)."""
        return np.bincount(self.segments.ravel(), minlength=self.n_segments)

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
        labels, rows, columns, lengths = self._runs()
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
        labels, rows, columns, lengths = self._runs()
        # The columns of a run are consecutive numbers, so their sum has a closed form.
        sums = (rows * lengths, lengths * (2 * columns + lengths - 1) / 2)
        return np.stack([np.bincount(labels, weights=sum_) for sum_ in sums], axis=1)

    def _runs(self) -> tuple[NDArray[Any], ...]:
        """Return the label, first row, first column and length of each run of pixels.

        A run is a row of adjacent pixels of one superpixel. There are about ten times
        fewer runs than pixels.
        """
        height, width = self.shape
        begins = np.ones((height, width), dtype=bool)
        np.not_equal(self.segments[:, 1:], self.segments[:, :-1], out=begins[:, 1:])
        starts = np.flatnonzero(begins)
        lengths = np.diff(starts, append=height * width)
        return (self.segments.ravel()[starts], *np.divmod(starts, width), lengths)


def borders(segments: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return the labels of all pairs of adjacent pixels whose labels differ.

    Parameters
    ----------
    segments : ndarray of integers of shape (height, width)
        A label map.

    Returns
    -------
    one, other : ndarray of shape (n_boundaries,)
        The labels of both pixels. First come the pairs of left and right pixels, then
        the pairs of upper and lower pixels, each in row-major order.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_zoomout.superpixels._segmented_image import borders
    >>> borders(np.array([[1, 1, 2], [1, 3, 3]]))
    (array([1, 1, 1, 2]), array([2, 3, 3, 3]))
    """
    flat, width = segments.ravel(), segments.shape[1]
    differ = flat[:-1] != flat[1:]
    differ[width - 1 :: width] = False  # the next pixel is in another row
    beside = np.flatnonzero(differ)
    below = np.flatnonzero(flat[:-width] != flat[width:])
    one = flat[np.concatenate([beside, below])]
    other = flat[np.concatenate([beside + 1, below + width])]
    return one, other


def _renumber(segments: NDArray[Any]) -> NDArray[np.int32]:
    """Return a copy of the label map, with labels from 0 in ascending order."""
    if segments.min() < 0 or segments.max() >= segments.size:
        numbers = np.unique(segments, return_inverse=True)[1]
        return numbers.reshape(segments.shape).astype(np.int32)
    # Small labels need no sorting.
    present = np.bincount(segments.ravel().astype(np.intp)) > 0
    if present.all():
        return segments.astype(np.int32)
    return (np.cumsum(present, dtype=np.int32) - 1)[segments]
