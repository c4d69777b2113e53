"""The geometry of an over-segmented image: graph, rings, boxes (section 4.1)."""

from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from .cache import digest_array
from .images import as_float


class SegmentedImage:
    """An image and its superpixels.

    Parameters
    ----------
    image : ndarray of shape (height, width, 3)
        uint8, or floating point in 0..1. Kept as it is, not copied.
    segments : ndarray of integers of shape (height, width)
        The label map: pixels of equal label form a superpixel. Labels may be
        any integers; they are renumbered from 0 in ascending order.

    Attributes
    ----------
    image : ndarray of shape (height, width, 3)
        The image as given.
    segments : ndarray of int32 of shape (height, width)
        The label map, with labels 0 to ``n_segments - 1``.
    n_segments : int
        Number of superpixels.
    memo : dict
        Room for results that several descriptors of this image share, such as
        counts of textons per superpixel. Not pickled.

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
                f"segments: expected shape {image.shape[:2]}, that of the image, "
                f"got {segments.shape}."
            )
        if segments.dtype.kind not in "iu":
            raise ValueError(
                f"segments: expected integer labels, got dtype {segments.dtype}."
            )
        self.image = image
        self.segments, self.n_segments = _renumber(segments)
        self.memo: dict[Any, Any] = {}

    def __getstate__(self) -> dict[str, Any]:
        return {
            "image": self.image,
            "segments": self.segments,
            "n_segments": self.n_segments,
            "memo": {},
        }

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
        """Pixels of each superpixel, of shape (n_segments,)."""
        return np.bincount(self.segments.ravel(), minlength=self.n_segments)

    @cached_property
    def centroids(self) -> NDArray[np.float64]:
        """Mean row and column of each superpixel, of shape (n_segments, 2)."""
        return self._coordinate_sums / self.areas[:, None]

    @cached_property
    def boxes(self) -> NDArray[np.int64]:
        """Bounding boxes (top, left, bottom, right) of shape (n_segments, 4).

        Half-open, in pixels: the box covers rows top to bottom - 1.
        """
        # A stable sort keeps the pixels of a superpixel in row-major order.
        order = np.argsort(self.segments.ravel(), kind="stable")
        rows, columns = np.divmod(order, self.shape[1])
        ends = np.cumsum(self.areas)
        starts = ends - self.areas
        return np.stack(
            [
                rows[starts],
                np.minimum.reduceat(columns, starts),
                rows[ends - 1] + 1,
                np.maximum.reduceat(columns, starts) + 1,
            ],
            axis=1,
        )

    @cached_property
    def adjacency(self) -> sparse.csr_array:
        """Which superpixels share a boundary (4-connectivity).

        A symmetric boolean csr array of shape (n_segments, n_segments) with an
        empty diagonal.
        """
        seg = self.segments
        first = np.concatenate([seg[:, :-1].ravel(), seg[:-1].ravel()])
        second = np.concatenate([seg[:, 1:].ravel(), seg[1:].ravel()])
        differ = first != second
        pairs = first[differ].astype(np.int64) * self.n_segments + second[differ]
        first, second = np.divmod(np.unique(pairs), self.n_segments)
        ones = np.ones(2 * len(first), dtype=bool)
        both_ways = (np.r_[first, second], np.r_[second, first])
        graph = sparse.coo_array((ones, both_ways), shape=(self.n_segments,) * 2)
        return graph.tocsr()

    def neighborhood(self, radius: int) -> sparse.csr_array:
        """Which superpixels lie within a graph distance of each.

        Parameters
        ----------
        radius : int
            Largest number of steps on the superpixel graph; 0 is the superpixel
            alone, 2 the paper's proximal region, 3 its distant one.

        Returns
        -------
        csr_array of float32 of shape (n_segments, n_segments)
            Ones and implicit zeros; its product with values per superpixel sums
            them over the regions.
        """
        reached = sparse.eye_array(self.n_segments, dtype=np.float32, format="csr")
        step = reached + self.adjacency.astype(np.float32)
        for _ in range(radius):
            reached = reached @ step
            reached.data[:] = 1
        return reached

    def region_areas(self, radius: int) -> NDArray[np.int64]:
        """Pixels within ``radius`` of each superpixel, of shape (n_segments,)."""
        return self.neighborhood(radius).astype(np.int64) @ self.areas

    def region_centroids(self, radius: int) -> NDArray[np.float64]:
        """Mean row and column of each region, of shape (n_segments, 2)."""
        near = self.neighborhood(radius).astype(np.float64)
        return (near @ self._coordinate_sums) / (near @ self.areas)[:, None]

    def region_boxes(self, radius: int) -> NDArray[np.int64]:
        """Bounding boxes of the regions, like `boxes`, of shape (n_segments, 4)."""
        near = self.neighborhood(radius)
        members, starts = self.boxes[near.indices], near.indptr[:-1]
        low = np.minimum.reduceat(members[:, :2], starts, axis=0)
        high = np.maximum.reduceat(members[:, 2:], starts, axis=0)
        return np.hstack([low, high])

    def count(self, codes: NDArray[Any], n_codes: int) -> NDArray[np.int64]:
        """Count the codes of the pixels of each superpixel.

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
        cells = self.segments.astype(np.int64) * n_codes + codes
        counts = np.bincount(cells.ravel(), minlength=self.n_segments * n_codes)
        return counts.reshape(self.n_segments, n_codes)

    @cached_property
    def _coordinate_sums(self) -> NDArray[np.float64]:
        labels, (height, width) = self.segments.ravel(), self.shape
        rows = np.repeat(np.arange(height), width)
        columns = np.tile(np.arange(width), height)
        return np.stack(
            [
                np.bincount(labels, weights=coordinate, minlength=self.n_segments)
                for coordinate in (rows, columns)
            ],
            axis=1,
        )


def _renumber(segments: NDArray[Any]) -> tuple[NDArray[np.int32], int]:
    """Renumber labels from 0 in ascending order, and count them."""
    if segments.size and segments.min() >= 0 and segments.max() < segments.size:
        # The usual case, in which there is nothing to do, takes no sorting.
        numbers = segments.astype(np.int32)
        counts = np.bincount(numbers.ravel())
        if counts.all():
            return numbers, len(counts)
    labels, renumbered = np.unique(segments, return_inverse=True)
    return renumbered.reshape(segments.shape).astype(np.int32), len(labels)
