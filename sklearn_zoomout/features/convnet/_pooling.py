"""Averages of a feature map over boxes or superpixels, for all of them at once."""

from typing import TYPE_CHECKING

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


def sum_over_segments(
    feature_map: NDArray[np.float32], segments: NDArray[np.int32], n_segments: int
) -> NDArray[np.float32]:
    """Sum a feature map, interpolated bilinearly to the pixels, over segments.

    The map is never enlarged: along a run of pixels between the same cells, the weights
    of these add up, so that the sums are two sparse products, from cells to runs and
    from runs to segments.

    Parameters
    ----------
    feature_map : ndarray of shape (channels, rows, columns), float32
        Map of one image, whose cells share the image evenly; not more of them than
        pixels along either side.
    segments : ndarray of int32 of shape (height, width)
        Label map, with labels 0 to ``n_segments - 1``.
    n_segments : int
        Number of labels.

    Returns
    -------
    ndarray of shape (n_segments, channels), float32
        Sums over the pixels of each segment; divided by its area, the averages.

    References
    ----------
    .. [1] Mostajabi, Yadollahpour, Shakhnarovich, "Feedforward semantic segmentation
       with zoom-out features", CVPR 2015.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_zoomout.features.convnet._pooling import sum_over_segments
    >>> feature_map = np.array([[[0.0, 4.0]]], dtype=np.float32)
    >>> segments = np.array([[0, 0, 1, 1]], dtype=np.int32)
    >>> sum_over_segments(feature_map, segments, 2)
    array([[1.],
           [7.]], dtype=float32)
    """
    channels, n_rows, n_columns = feature_map.shape
    height, width = segments.shape
    row, down = _neighboring_cells(height, n_rows)
    column, across = _neighboring_cells(width, n_columns)
    # Runs: pixels of a row with one label, and with the same two cells of that row.
    first = np.ones(segments.shape, dtype=bool)
    first[:, 1:] = segments[:, 1:] != segments[:, :-1]
    first[:, 1:] |= column[1:] != column[:-1]
    start = np.flatnonzero(first)
    y, x = np.divmod(start, width)
    length = np.diff(start, append=segments.size)
    # Along a run, the shares of its left and right cells add up.
    summed = np.concatenate([[0], np.cumsum(across, dtype=np.float64)])
    right = (summed[x + length] - summed[x]).astype(np.float32)
    left = length.astype(np.float32) - right
    lower = down[y]
    weights = np.empty((len(start), 4), dtype=np.float32)
    for k, share in enumerate((left, right)):
        np.multiply(share, lower, out=weights[:, 2 + k])
        np.subtract(share, weights[:, 2 + k], out=weights[:, k])
    cell = row[y] * np.int32(n_columns) + column[x]
    next_row, next_column = n_columns * (n_rows > 1), int(n_columns > 1)
    steps = np.array([0, next_column, next_row, next_row + next_column], np.int32)
    ends = np.arange(len(start) + 1, dtype=np.int32)
    of_cells = sparse.csr_array(
        (weights.ravel(), (cell[:, None] + steps).ravel(), 4 * ends),
        shape=(len(start), n_rows * n_columns),
    )
    of_runs = sparse.csc_array(
        (np.ones(len(start), np.float32), segments.ravel()[start], ends),
        shape=(n_segments, len(start)),
    )
    cells = np.ascontiguousarray(feature_map.reshape(channels, -1).T)
    if channels < _MANY_CHANNELS:
        return of_runs @ (of_cells @ cells)
    return (of_runs.tocsr() @ of_cells) @ cells


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
