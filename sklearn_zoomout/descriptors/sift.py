"""SIFT descriptors on a dense grid."""

from collections.abc import Iterator
from functools import lru_cache
from itertools import product

import cv2
import numpy as np
from scipy import sparse

from .filters import derivative, gaussian

STEP = 8
PATCH_SIZES = (8, 18)
_N_CELLS = 4
_N_ORIENTATIONS = 8
# Weaker gradients, in units of L*a*b* per pixel, are rounding errors: a uniform patch
# gets the descriptor zero instead of amplified noise.
_FLAT = 1e-3
# Orientation maps are made for so many columns at a time, to stay within the cache.
_STRIP = 100


def grid(shape: tuple[int, int], step: int = STEP) -> tuple[np.ndarray, np.ndarray]:
    """Rows and columns of the dense grid, which starts half a step from the border.

    Parameters
    ----------
    shape : tuple of two ints
        Height and width of the image.
    step : int, default=8
        Distance between points, in pixels.

    Returns
    -------
    rows, columns : arrays of int
        At least one of each, in a smaller image its middle.

    Examples
    --------
    >>> from sklearn_zoomout.descriptors.sift import grid
    >>> grid((20, 5))
    (array([ 4, 12]), array([2]))
    """
    rows, columns = (np.arange(min(step, n) // 2, n, step) for n in shape)
    return rows, columns


def dense_sift(
    channel: np.ndarray, patch_size: float, step: int = STEP
) -> tuple[np.ndarray, np.ndarray]:
    """Compute Lowe's descriptor, upright, at every point of a grid.

    The image is blurred to a third of the cell's width; gradients are shared linearly
    between neighboring orientations and cells, and weighted by a Gaussian of half the
    patch's width. That weight and the sharing between cells are separable, so cells of
    all points are pooled by two sparse matrix products, first over rows and then over
    columns.

    Parameters
    ----------
    channel : array of shape (height, width), float32
        One channel of an image in CIELAB.
    patch_size : float
        Side of the patch, in pixels, of 4 x 4 cells.
    step : int, default=8
        Distance between points, in pixels.

    Returns
    -------
    points : array of shape (n_points, 2), int
        Row and column of each point, row by row.
    descriptors : array of shape (n_points, 128), float32
        Cells row by row, with eight orientations each, counterclockwise from the
        right; of norm 1, or 0 where the patch is uniform.

    References
    ----------
    Lowe, "Distinctive image features from scale-invariant keypoints", International
    Journal of Computer Vision 60 (2004).

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_zoomout.descriptors.sift import dense_sift
    >>> brighter_to_the_right = np.tile(np.arange(20, dtype=np.float32), (10, 1))
    >>> points, descriptors = dense_sift(brighter_to_the_right, patch_size=8)
    >>> points
    array([[ 4,  4],
           [ 4, 12]])
    >>> descriptors.reshape(2, 4, 4, 8).sum(axis=(1, 2))[0].argmax()
    np.int64(0)
    """
    points = np.stack(np.meshgrid(*grid(channel.shape, step), indexing="ij"), axis=-1)
    return points.reshape(-1, 2), _describe(channel, patch_size, step)


def image_sift(lab: np.ndarray) -> np.ndarray:
    """Dense SIFT of the three channels and both patch sizes.

    Parameters
    ----------
    lab : array of shape (height, width, 3), float32
        An image in CIELAB.

    Returns
    -------
    descriptors : array of shape (6, n_points, 128), float32
        In the order L 8, L 18, a 8, a 18, b 8, b 18 pixels.
    """
    return np.stack(list(each_sift(lab)))


def each_sift(lab: np.ndarray) -> Iterator[np.ndarray]:
    """Give the six arrays of `image_sift`, of shape (n_points, 128), one by one."""
    for channel, patch_size in product(cv2.split(lab), PATCH_SIZES):
        yield _describe(channel, patch_size, STEP)


def _describe(channel: np.ndarray, patch_size: float, step: int) -> np.ndarray:
    """Describe the points of the grid, (n_points, 128)."""
    height, width = channel.shape
    cell = patch_size / _N_CELLS
    # Cameras blur by half a pixel already (Lowe, section 3.3).
    blur = max((cell / 3) ** 2 - 0.5**2, 1e-4) ** 0.5
    magnitude, position = _gradients(gaussian(channel, blur))
    over_rows = _cell_weights(height, cell, step)
    pooled = np.empty((width, over_rows.shape[0] * _N_ORIENTATIONS), dtype=np.float32)
    for start in range(0, width, _STRIP):
        strip = np.s_[start : start + _STRIP]
        maps = _orientation_maps(magnitude[:, strip], position[:, strip])
        cells = over_rows @ maps.reshape(height, -1)
        pooled[strip] = cells.reshape(pooled.shape[1], -1).T
    pooled = _cell_weights(width, cell, step) @ pooled
    n_rows, n_columns = (len(line) for line in grid(channel.shape, step))
    cells = pooled.reshape(n_columns, _N_CELLS, n_rows, _N_CELLS, _N_ORIENTATIONS)
    descriptors = cells.transpose(2, 0, 3, 1, 4).reshape(-1, 128)
    # As Lowe: scaled to norm 1, cut at 0.2 and scaled again; zeros stay zeros.
    np.minimum(descriptors, 0.2 * _norm(descriptors), out=descriptors)
    descriptors /= np.maximum(_norm(descriptors), np.finfo(np.float32).tiny)
    return descriptors


def _gradients(channel: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Give the gradient's magnitude, and its angle in 0..8 orientations."""
    up, right = -derivative(channel, 0), derivative(channel, 1)
    magnitude, angle = cv2.cartToPolar(right, up)
    magnitude = cv2.threshold(magnitude, _FLAT, 0, cv2.THRESH_TOZERO)[1]
    return magnitude, angle * np.float32(_N_ORIENTATIONS / (2 * np.pi))


def _orientation_maps(magnitude: np.ndarray, position: np.ndarray) -> np.ndarray:
    """Share gradients between the two nearest of eight orientations.

    Returns an array of shape (height, 8, width), so that cells are pooled over rows
    without moving anything.
    """
    height, width = magnitude.shape
    magnitude = np.ascontiguousarray(magnitude)
    maps = np.empty((height, _N_ORIENTATIONS, width), dtype=np.float32)
    # The gradient walks from orientation to orientation, up to its angle: what
    # arrives at one and does not go on to the next is that one's share.
    way = position * magnitude
    arrived = magnitude
    for orientation in range(_N_ORIENTATIONS):
        goes_on = np.minimum(way, magnitude)
        np.subtract(arrived, goes_on, out=maps[:, orientation])
        way -= goes_on
        arrived = goes_on
    maps[:, 0] += arrived
    return maps


@lru_cache(maxsize=16)
def _cell_weights(length: int, cell: float, step: int) -> sparse.csr_array:
    """Weigh the positions along one axis in the four cells of each grid line.

    Returns a csr array of shape (4 * n_lines, length): a Gaussian around the line of
    half the patch's width, times a triangle around the cell's center. It is kept, since
    channels share it, and most images of a data set.
    """
    lines, _ = grid((length, 1), step)
    centers = (np.arange(_N_CELLS) - (_N_CELLS - 1) / 2) * cell
    reach = int(np.ceil(centers[-1] + cell))
    offsets = np.arange(-reach, reach + 1)
    triangles = np.maximum(0, 1 - np.abs(offsets - centers[:, None]) / cell)
    kernels = triangles * np.exp(-((offsets / (_N_CELLS / 2 * cell)) ** 2) / 2)
    row, position, weight = np.broadcast_arrays(
        np.arange(len(lines) * _N_CELLS).reshape(-1, _N_CELLS, 1),
        lines[:, None, None] + offsets,
        kernels,
    )
    inside = (weight > 0) & (position >= 0) & (position < length)
    return sparse.csr_array(
        (weight[inside].astype(np.float32), (row[inside], position[inside])),
        shape=(len(lines) * _N_CELLS, length),
    )


def _norm(descriptors: np.ndarray) -> np.ndarray:
    """Norm of every row, as a column."""
    return np.sqrt(np.einsum("ij,ij->i", descriptors, descriptors))[:, None]
