"""SIFT descriptors on a dense grid."""

import cv2
import numpy as np
from scipy import sparse

from ._filters import derivative, gaussian

STEP = 8
PATCH_SIZES = (8, 18)
_N_CELLS = 4
_N_ORIENTATIONS = 8
# A descriptor with a smaller norm is a rounding error and becomes zero, so that noise
# is not amplified. The unit is L*a*b* with cells of one pixel.
_FLAT = 5e-3
# Values of orientation maps that are computed at once. They fit into the cache.
_BAND = 240_000
# Lengths of the vectors of `_orientation_maps`, for all cells in a row of cells.
_SCALES = np.tile([1, 2**0.5], _N_CELLS * _N_ORIENTATIONS // 2).astype(np.float32)
_SCALES = _SCALES.reshape(_N_CELLS, _N_ORIENTATIONS)


def grid(shape: tuple[int, int], step: int = STEP) -> tuple[np.ndarray, np.ndarray]:
    """Return rows and columns of the dense grid, which starts half a step inside.

    Parameters
    ----------
    shape : tuple of two ints
        Height and width of the image.
    step : int, default=8
        Distance between points, in pixels.

    Returns
    -------
    rows, columns : arrays of int
        At least one of each. In an image smaller than a step, it is the middle.

    Examples
    --------
    >>> from sklearn_zoomout.descriptors._sift import grid
    >>> grid((20, 5))
    (array([ 4, 12]), array([2]))
    """
    rows, columns = (np.arange(min(step, n) // 2, n, step) for n in shape)
    return rows, columns


def dense_sift(
    channel: np.ndarray, patch_size: float, step: int = STEP
) -> tuple[np.ndarray, np.ndarray]:
    """Compute Lowe's descriptor, upright, at every point of a grid.

    The image is blurred to a third of the width of a cell. Like Lowe's octaves, it is
    halved as long as a cell keeps two pixels. Each gradient is written as a sum of the
    two nearest of eight directions. It is shared linearly between neighboring cells,
    and weighted by a Gaussian of half the width of the patch. The Gaussian and the
    sharing are separable. Therefore the cells of all points are pooled by products with
    sparse matrices, first over columns and then over rows.

    Parameters
    ----------
    channel : array of shape (height, width), float32
        One channel of an image in CIELAB.
    patch_size : float
        Side of the patch of 4 x 4 cells, in pixels.
    step : int, default=8
        Distance between points, in pixels.

    Returns
    -------
    points : array of shape (n_points, 2), int
        Row and column of each point, row by row.
    descriptors : array of shape (n_points, 128), float32
        Cells row by row, with eight orientations each, counterclockwise from the
        right. The norm is 1, or 0 if the patch is uniform.

    References
    ----------
    Lowe, "Distinctive image features from scale-invariant keypoints", International
    Journal of Computer Vision 60 (2004).

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_zoomout.descriptors import dense_sift
    >>> brighter_to_the_right = np.tile(np.arange(20, dtype=np.float32), (10, 1))
    >>> points, descriptors = dense_sift(brighter_to_the_right, patch_size=8)
    >>> points
    array([[ 4,  4],
           [ 4, 12]])
    >>> descriptors.reshape(2, 4, 4, 8).sum(axis=(1, 2))[0].argmax()
    np.int64(0)
    """
    points = np.stack(np.meshgrid(*grid(channel.shape, step), indexing="ij"), axis=-1)
    points = points.reshape(-1, 2)
    descriptors = np.empty((1, len(points), 128), dtype=np.float32)
    _describe(channel[..., None], patch_size, step, descriptors)
    return points, descriptors[0]


def image_sift(lab: np.ndarray, bands: bool = False) -> np.ndarray:
    """Compute dense SIFT descriptors of the three channels and both patch sizes.

    Parameters
    ----------
    lab : array of shape (height, width, n), float32
        An image in CIELAB, or the lightness of n bands.
    bands : bool, default=False
        Whether it is the lightness of bands. Their mean is described as one channel.

    Returns
    -------
    descriptors : array of shape (6, n_points, 128), float32
        The order of channels and patch sizes is L 8, L 18, a 8, a 18, b 8, b 18 pixels.
        Of bands, there are only the first two.
    """
    if bands:
        lab = lab.mean(axis=2, keepdims=True)
    rows, columns = grid(lab.shape[:2])
    n_points = len(rows) * len(columns)
    shape = (lab.shape[2], len(PATCH_SIZES), n_points, 128)
    descriptors = np.empty(shape, dtype=np.float32)
    for k, patch_size in enumerate(PATCH_SIZES):
        _describe(lab, patch_size, STEP, descriptors[:, k])
    return descriptors.reshape(-1, n_points, 128)


def _describe(
    image: np.ndarray, patch_size: float, step: int, descriptors: np.ndarray
) -> None:
    """Write the descriptors of each channel, (channels, n_points, 128)."""
    smooth = _smooth(image, patch_size)
    height, width, channels = smooth.shape
    turned = cv2.transpose(smooth).reshape(width, height, channels)
    right, down = (derivative(turned, axis).reshape(width, -1) for axis in (0, 1))
    over_rows = _cell_weights(image.shape[0], patch_size, step)
    shape = (over_rows.shape[0] // _N_CELLS, -1, _N_CELLS, _N_CELLS, _N_ORIENTATIONS)
    cells = descriptors.reshape(channels, *shape)
    n_lines = _lines_at_once(right.shape[1], patch_size, step)
    bands = _bands(image.shape[1], patch_size, step, n_lines)
    for lines, columns, over_columns in bands:
        maps = _orientation_maps(right[columns], down[columns])
        pooled = over_columns @ maps.reshape(len(maps), -1)
        turned_back = cv2.transpose(pooled.reshape(-1, right.shape[1]))
        pooled = over_rows @ turned_back.reshape(height, -1)
        pooled = pooled.reshape(
            *(-1, _N_CELLS, channels),
            *(over_columns.shape[0] // _N_CELLS, _N_CELLS, _N_ORIENTATIONS),
        )
        np.multiply(pooled.transpose(2, 0, 3, 1, 4, 5), _SCALES, out=cells[:, :, lines])
    flat = _FLAT * (patch_size / _N_CELLS / 2 ** _octave(patch_size)) ** 2
    for of_channel in descriptors:
        _normalize(of_channel, flat)


def _octave(patch_size: float) -> int:
    """Return the number of times that an image is halved; a cell keeps two pixels."""
    return max(0, int(np.log2(patch_size / _N_CELLS / 2)))


def _smooth(image: np.ndarray, patch_size: float) -> np.ndarray:
    """Blur an image to a third of a cell, and halve it `_octave` times."""
    channels = image.shape[2]
    # Cameras blur by half a pixel already (Lowe, section 3.3).
    variance = (patch_size / _N_CELLS / 3) ** 2 - 0.5**2
    for _ in range(_octave(patch_size)):
        image = cv2.pyrDown(image, borderType=cv2.BORDER_REPLICATE)
        # pyrDown blurs by a variance of 1 and keeps the even rows and columns.
        variance = (variance - 1) / 4
    image = gaussian(image, max(variance, 1e-4) ** 0.5)
    return image.reshape(*image.shape[:2], channels)


def _orientation_maps(right: np.ndarray, down: np.ndarray) -> np.ndarray:
    """Write gradients as sums of the two nearest of eight directions.

    The directions are 45 degrees apart. The smaller of the two components is the
    coefficient of the diagonal, and the rest of the larger component is the coefficient
    of its axis. This needs only differences and minima, which are fast.

    The result has the shape (rows, 8, columns). It holds twice the coefficients. The
    vectors of the diagonals have the length sqrt(2).
    """
    maps = np.empty((len(right), _N_ORIENTATIONS, right.shape[1]), dtype=np.float32)
    # Twice the positive and the negative part of each component.
    along = [np.abs(right), np.abs(down)]
    along = [along[0] + right, along[1] - down, along[0] - right, along[1] + down]
    for k in range(4):  # right, up, left, down: every other orientation
        np.minimum(along[k], along[(k + 1) % 4], out=maps[:, 2 * k + 1])
    for k in range(4):
        along[k] -= maps[:, 2 * k + 1]
        np.subtract(along[k], maps[:, 2 * k - 1], out=maps[:, 2 * k])
    return maps


def _normalize(descriptors: np.ndarray, flat: float) -> None:
    """Scale to norm 1, clip at 0.2 and scale again. Set uniform patches to zero."""
    norm = _norm(descriptors)
    np.minimum(descriptors, 0.2 * norm, out=descriptors)
    scale = np.maximum(_norm(descriptors), np.finfo(np.float32).tiny)
    descriptors *= (norm > flat) / scale


def _lines_at_once(row_length: int, patch_size: float, step: int) -> int:
    """Return the number of grid lines whose orientation maps fit into the cache."""
    positions = _BAND / (_N_ORIENTATIONS * row_length) * 2 ** _octave(patch_size)
    window = (_N_CELLS + 1) / _N_CELLS * patch_size
    return max(1, int((positions - window) / step) + 1)


def _bands(
    length: int, patch_size: float, step: int, n_lines: int
) -> list[tuple[slice, slice, sparse.csr_array]]:
    """Split `_cell_weights` into bands of `n_lines` lines.

    Return for each band its lines, the positions that it reads, and their weights.
    """
    weights = _cell_weights(length, patch_size, step)
    bands = []
    for first in range(0, weights.shape[0] // _N_CELLS, n_lines):
        lines = slice(first, first + n_lines)
        part = weights[_N_CELLS * first : _N_CELLS * lines.stop]
        positions = slice(int(part.indices.min()), int(part.indices.max()) + 1)
        bands.append((lines, positions, part[:, positions].tocsr()))
    return bands


def _cell_weights(length: int, patch_size: float, step: int) -> sparse.csr_array:
    """Return the weights of positions along one axis in the cells of each grid line.

    The result is a csr array of shape (4 * n_lines, n_positions). The axis of `length`
    pixels is halved as often as the image. A weight is the product of a Gaussian around
    the grid line, of half the width of the patch, and a triangle around the center of
    the cell.
    """
    scale = 2 ** _octave(patch_size)
    lines = grid((length, 1), step)[0][:, None, None] / scale
    cell = patch_size / _N_CELLS / scale
    centers = (np.arange(_N_CELLS)[:, None] - (_N_CELLS - 1) / 2) * cell
    reach = (_N_CELLS + 1) / 2 * cell
    position = np.floor(lines - reach) + np.arange(2 * reach + 2)
    offset = position - lines
    weight = np.maximum(0, 1 - np.abs(offset - centers) / cell)
    weight = weight * np.exp(-((offset / (_N_CELLS / 2 * cell)) ** 2) / 2)
    row = np.arange(len(lines) * _N_CELLS).reshape(-1, _N_CELLS, 1)
    row, position, weight = np.broadcast_arrays(row, position, weight)
    n_positions = -(-length // scale)
    inside = (weight > 0) & (position >= 0) & (position < n_positions)
    return sparse.csr_array(
        (weight[inside].astype(np.float32), (row[inside], position[inside])),
        shape=(len(lines) * _N_CELLS, n_positions),
    )


def _norm(descriptors: np.ndarray) -> np.ndarray:
    """Return the norm of every row, as a column."""
    return np.sqrt(np.einsum("ij,ij->i", descriptors, descriptors))[:, None]
