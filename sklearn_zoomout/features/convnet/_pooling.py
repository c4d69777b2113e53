"""Averages of a feature map over boxes or superpixels, for all of them at once."""

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

if TYPE_CHECKING:
    import torch

# From so many channels on, it is less work to bring the weights together first.
_MANY_CHANNELS = 32


class BoxPooling:
    """Exact averages of a feature map over boxes of its image.

    The map is a piecewise constant function whose cells divide the image evenly. A cell
    that a box covers in part counts in part. The average over the box of the whole
    image is the global average. The sum over a box comes from the corners of the map's
    integral image, so that the work does not depend on the boxes' sizes; it is kept in
    float64, because differences of large sums are taken.

    Parameters
    ----------
    feature_map : tensor of shape (channels, height, width), float32
        Map of one image.
    shape : tuple of int
        Height and width of the image in pixels.

    Examples
    --------
    >>> import numpy as np
    >>> import torch
    >>> from sklearn_zoomout.features.convnet._pooling import BoxPooling
    >>> feature_map = torch.tensor([[[0.0, 4.0], [0.0, 8.0]]])
    >>> boxes = np.array([[0, 0, 6, 6], [0, 0, 3, 4]])
    >>> BoxPooling(feature_map, shape=(6, 6)).average(boxes).ravel()
    tensor([3., 1.])
    """

    def __init__(self, feature_map: "torch.Tensor", shape: tuple[int, int]) -> None:
        import torch

        self.shape = shape
        self.device = feature_map.device
        self.channels, self.height, self.width = feature_map.shape
        if self.device.type == "mps":  # knows no float64
            feature_map = feature_map.cpu()
        # Row and column 0 are the empty sums.
        cells = torch.nn.functional.pad(
            feature_map.permute(1, 2, 0), (0, 0, 1, 0, 1, 0)
        )
        integral = cells.cumsum(0, dtype=torch.float64).cumsum(1)
        self._integral = integral.view(-1, self.channels)

    def average(self, boxes: NDArray[np.integer], grid: int = 1) -> "torch.Tensor":
        """Average the map over boxes.

        Parameters
        ----------
        boxes : ndarray of shape (n_boxes, 4)
            Top, left, bottom and right in pixels of the image, half open.
        grid : int, default=1
            Each box is cut into `grid` x `grid` boxes of equal size.

        Returns
        -------
        tensor of shape (n_boxes, channels, grid, grid), float32
            The averages.
        """
        import torch

        top, left, bottom, right = np.asarray(boxes, dtype=np.float64).T
        row, down = _corners(top, bottom, self.shape[0], self.height, grid)
        column, across = _corners(left, right, self.shape[1], self.width, grid)
        index = row[:, :, None, :, None] * (self.width + 1) + column[:, None, :, None]
        weight = down[:, :, None, :, None] * across[:, None, :, None]
        device = self._integral.device
        pooled = torch.nn.functional.embedding_bag(
            torch.from_numpy(index.reshape(-1, 16)).to(device),
            self._integral,
            per_sample_weights=torch.from_numpy(weight.reshape(-1, 16)).to(device),
            mode="sum",
        )
        pooled = pooled.float().to(self.device)
        return pooled.view(len(boxes), grid, grid, self.channels).permute(0, 3, 1, 2)


def _corners(
    low: NDArray[np.float64],
    high: NDArray[np.float64],
    length: int,
    n_cells: int,
    grid: int,
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Write averages over intervals as sums of four values of a running sum.

    Parameters
    ----------
    low, high : ndarray of shape (n_intervals,), float64
        Intervals of an axis of the image, in pixels.
    length, n_cells : int
        The image's and the map's size along this axis.
    grid : int
        Parts that each interval is cut into.

    Returns
    -------
    index : ndarray of shape (n_intervals, grid, 4), int64
        Entries of the running sum, which has n_cells + 1 of them.
    weight : ndarray of shape (n_intervals, grid, 4), float64
        Their factors: the running sum is interpolated linearly at both ends, and the
        difference divided by the interval's length.
    """
    cuts = np.linspace(low, high, grid + 1, axis=1) * (n_cells / length)
    cell = np.clip(np.floor(cuts), 0, n_cells - 1).astype(np.int64)
    fraction = cuts - cell
    pair = np.stack([cell, cell + 1], axis=-1)
    share = np.stack([1 - fraction, fraction], axis=-1)
    index = np.concatenate([pair[:, :-1], pair[:, 1:]], axis=-1)
    weight = np.concatenate([-share[:, :-1], share[:, 1:]], axis=-1)
    return index, weight / np.diff(cuts, axis=1)[..., None]


class SegmentSums:
    """Sums over segments of feature maps that are interpolated to the pixels.

    A map is never enlarged. A run is a row of adjacent pixels of one segment. The sum
    over a run is a weighted sum of the few cells below it, in the map's row above the
    run and in the row below. Where a run covers all pixels that are interpolated from a
    cell, the weight of this cell is the same in every run.

    Parameters
    ----------
    segments : ndarray of int32 of shape (height, width)
        Label map, with labels 0 to ``n_segments - 1``.
    n_segments : int
        Number of labels.

    References
    ----------
    .. [1] Mostajabi, Yadollahpour, Shakhnarovich, "Feedforward semantic segmentation
       with zoom-out features", CVPR 2015.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_zoomout.features.convnet._pooling import SegmentSums
    >>> sums = SegmentSums(np.array([[0, 0, 1, 1]], dtype=np.int32), 2)
    >>> sums.of(np.array([[[0.0, 4.0]]], dtype=np.float32))
    array([[1.],
           [7.]], dtype=float32)
    """

    def __init__(self, segments: NDArray[np.int32], n_segments: int) -> None:
        self.shape = segments.shape
        begins = np.ones(segments.shape, dtype=bool)
        np.not_equal(segments[:, 1:], segments[:, :-1], out=begins[:, 1:])
        start = np.flatnonzero(begins)
        self._row, self._begin = np.divmod(start, segments.shape[1])
        self._last = self._begin + np.diff(start, append=segments.size) - 1
        # The runs of each segment, one segment after the other.
        labels = segments.ravel()[start]
        short = labels.astype(np.min_scalar_type(n_segments))  # sorted without compares
        self._order = np.argsort(short, kind="stable").astype(np.int32)
        n_runs = np.bincount(labels, minlength=n_segments)
        self._bounds = np.concatenate([[0], np.cumsum(n_runs)]).astype(np.int32)
        self._weights: dict[tuple[int, int], _RunWeights] = {}

    def of(self, feature_map: NDArray[np.float32]) -> NDArray[np.float32]:
        """Sum a feature map over the pixels of each segment.

        Parameters
        ----------
        feature_map : ndarray of shape (channels, rows, columns), float32
            Map of one image, whose cells divide the image evenly. Along either side it
            has at most as many cells as the image has pixels.

        Returns
        -------
        ndarray of shape (n_segments, channels), float32
            Divided by the area of each segment, they are the averages.
        """
        for axis in (1, 2):
            if feature_map.shape[axis] == 1:  # between two equal cells is the same
                feature_map = np.repeat(feature_map, 2, axis=axis)
        channels, *shape = feature_map.shape
        upper, lower, of_cells = self._weigh(*shape)
        cells = np.ascontiguousarray(feature_map.reshape(channels, -1).T)
        above, below = cells[: -shape[1]], cells[shape[1] :]
        if channels < _MANY_CHANNELS:
            return upper @ (of_cells @ above) + lower @ (of_cells @ below)
        return (upper @ of_cells) @ above + (lower @ of_cells) @ below

    def _weigh(self, n_rows: int, n_columns: int) -> "_RunWeights":
        """Return the weights for a map, which all maps of its shape share."""
        if (n_rows, n_columns) not in self._weights:
            weights = self._compute_weights(n_rows, n_columns)
            self._weights[n_rows, n_columns] = weights
        return self._weights[n_rows, n_columns]

    def _compute_weights(self, n_rows: int, n_columns: int) -> "_RunWeights":
        height, width = self.shape
        row, down = _neighboring_cells(height, n_rows)
        column, across = _neighboring_cells(width, n_columns)
        total, before, after = _weigh_cells(column, across, n_columns)
        # The cells of a run, as if it covered all their pixels, less the other pixels.
        begin, last = self._begin, self._last
        first_cell = column[begin]
        n_cells = column[last] - first_cell + 2
        bounds = np.concatenate([[0], np.cumsum(n_cells)])
        cells = np.arange(bounds[-1], dtype=np.int32)
        cells += np.repeat((first_cell - bounds[:-1]).astype(np.int32), n_cells)
        weights = total.take(cells)
        for k in (0, 1):
            weights[bounds[:-1] + k] -= before[k, begin]
            weights[bounds[1:] - 2 + k] -= after[k, last]
        cells += np.repeat(row[self._row] * np.int32(n_columns), n_cells)
        bounds = bounds.astype(np.int32)
        of_cells = sparse.csr_array(
            (weights, cells, bounds), shape=(len(begin), (n_rows - 1) * n_columns)
        )
        share = down[self._row][self._order]
        upper, lower = (
            sparse.csr_array(
                (shares, self._order, self._bounds),
                shape=(len(self._bounds) - 1, len(begin)),
            )
            for shares in (1 - share, share)
        )
        return _RunWeights(upper, lower, of_cells)


class _RunWeights(NamedTuple):
    """Weights of runs and cells, as csr arrays of float32.

    Attributes
    ----------
    upper, lower : csr_array of shape (n_segments, n_runs)
        The runs of each segment, with the shares of the map's rows above and below.
    of_cells : csr_array of shape (n_runs, (rows - 1) * columns)
        The cells of each run, in the row above. Those in the row below are in the same
        places of a map without its first row.
    """

    upper: sparse.csr_array
    lower: sparse.csr_array
    of_cells: sparse.csr_array


def _neighboring_cells(
    length: int, n_cells: int
) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    """Find the two cells that each pixel of an axis is interpolated from.

    Returns
    -------
    cells : ndarray of shape (length,), int32
        The lower one; the other one is the next, if there is more than one.
    shares : ndarray of shape (length,), float32
        The weight of the other one, 0 to 1.
    """
    position = (np.arange(length) + 0.5) * (n_cells / length) - 0.5
    position = np.clip(position, 0, n_cells - 1)
    low = np.minimum(position.astype(np.int32), max(n_cells - 2, 0))
    return low, (position - low).astype(np.float32)


def _weigh_cells(
    cells: NDArray[np.int32], shares: NDArray[np.float32], n_cells: int
) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]:
    """Add up the weights that the pixels of an axis give to their two cells.

    Parameters
    ----------
    cells, shares : ndarray of shape (length,)
        What `_neighboring_cells` returns.
    n_cells : int
        Number of cells, at least 2.

    Returns
    -------
    total : ndarray of shape (n_cells,), float32
        The weight of each cell, over all pixels.
    before, after : ndarray of shape (2, length), float32
        The weights of the two cells of each pixel, over the pixels before it, and over
        those behind it.
    """
    from_lower = np.bincount(cells, 1 - shares, n_cells)
    from_other = np.bincount(cells, shares, n_cells)
    total = from_lower
    total[1:] += from_other[:-1]
    # The first pixel of those that have the same two cells.
    first = np.searchsorted(cells, cells)
    running = np.cumsum(shares, dtype=np.float64) - shares
    other = running - running[first]
    # No pixel has the last cell as its lower one, so that from_other[-1] is 0.
    lower = np.arange(len(cells)) - first - other + from_other[cells - 1]
    before = np.stack([lower, other])
    own = np.stack([1 - shares, shares])
    after = total[np.stack([cells, cells + 1])] - before - own
    return total.astype(np.float32), before.astype(np.float32), after.astype(np.float32)
