"""SLIC superpixels: k-means of color and position, with local search on a grid."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from ._label_maps import borders

# The rounds that move the centers use a quarter of the pixels, which is enough. One
# last round over all pixels computes the labels.
_ROUNDS = 6
_STRIDE = 2
# Parts of superpixels below this share of a cell are merged with a neighbor.
_SMALLEST = 0.25
# Number of pixels whose distances to nine centers are computed at once. The distances
# fit into the processor's cache.
_PIXELS_AT_ONCE = 1 << 16
# Besides the channels: row, column, and 1 for a pixel or 0 for padding.
_N_MORE = 3


def slic(
    lab: NDArray[np.float32],
    n_segments: int,
    compactness: float,
    *,
    cell: int | None = None,
) -> NDArray[np.intp]:
    """Cut an image into superpixels.

    The image is cut into equal cells, one for each center. A pixel is compared with
    the centers of its own cell and of the eight cells around it. The distances are
    therefore products of small matrices. Connected parts that are too small are merged
    with a neighbor.

    Parameters
    ----------
    lab : ndarray of float32 of shape (height, width, n_channels)
        An image in CIELAB, or any other channels, such as the lightness of n bands
        divided by the square root of n.
    n_segments : int
        Approximate number of superpixels, at most the number of pixels.
    compactness : float
        The distance in L*a*b* that is equivalent to one side of a cell in space.
    cell : int or None, default=None
        The side of the cells in pixels, in place of ``n_segments``. Cells begin at the
        upper left corner, and those at the other borders may be cut. Windows of an
        image that begin at multiples of ``cell`` therefore have the superpixels of the
        image, but near their borders.

    Returns
    -------
    segments : ndarray of shape (height, width), int
        Label map, with labels from 0. The pixels of each label are connected.

    Raises
    ------
    TypeError
        If ``lab`` is no array.
    ValueError
        If it has no three axes, no pixels, or values that are not finite.

    References
    ----------
    Achanta et al., "SLIC superpixels compared to state-of-the-art superpixel
    methods", PAMI 2012. Ren, Prisacariu, Reid, "gSLICr: SLIC superpixels at over
    250Hz", arXiv 1509.04232 (the cells).

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_zoomout.superpixels import slic
    >>> lab = np.zeros((4, 8, 3), dtype=np.float32)
    >>> lab[:, 3:] = 50
    >>> slic(lab, n_segments=2, compactness=10)[0]
    array([0, 0, 0, 1, 1, 1, 1, 1])
    """
    lab = _check_channels(lab)
    height, width = lab.shape[:2]
    shape = (cell, cell) if cell else _cell_shape(height, width, n_segments)
    grid = (-(-height // shape[0]), -(-width // shape[1]))
    near = _nearby_cells(*grid)
    pixels = _pixels_of_cells(lab, grid, shape, compactness)
    sample = pixels
    if min(shape) >= 2 * _STRIDE:
        sample = pixels[..., _STRIDE // 2 :: _STRIDE, _STRIDE // 2 :: _STRIDE]
    centers = _find_centers(_flat(sample), near)
    labels = _nearest(_flat(pixels), centers, near)
    segments = labels.reshape(*grid, *shape).swapaxes(1, 2)
    segments = segments.reshape(grid[0] * shape[0], -1)[:height, :width]
    return _connect(segments, _SMALLEST * shape[0] * shape[1])


def _check_channels(lab: Any) -> NDArray[np.float32]:
    """Return the channels as float32, and refuse what is no image."""
    if not isinstance(lab, np.ndarray):
        raise TypeError(
            "lab: expected an array of shape (height, width, n_channels), got "
            f"{type(lab).__name__}; convert it with numpy.asarray."
        )
    if lab.ndim != 3 or 0 in lab.shape or lab.dtype.kind not in "iuf":
        raise ValueError(
            "lab: expected numbers of shape (height, width, n_channels), got dtype "
            f"{lab.dtype} and shape {lab.shape}; of a gray image, pass "
            "image[..., None]."
        )
    lab = lab.astype(np.float32, copy=False)
    # A sum is fast, and not finite if one of its terms is not.
    if not np.isfinite(lab.sum()) and not np.isfinite(lab).all():
        row, column = np.argwhere(~np.isfinite(lab))[0, :2]
        raise ValueError(
            f"lab: expected finite values, got {lab[row, column].tolist()} at row "
            f"{row}, column {column}; replace NaN and infinity first."
        )
    return lab


def _cell_shape(height: int, width: int, n_segments: int) -> tuple[int, int]:
    """Return the nearly square cell with the best number of cells in the image."""
    area = height * width / n_segments
    best = (np.inf, (1, 1))
    for rows in _whole_numbers(min(max(area**0.5, area / width), height)):
        for columns in _whole_numbers(min(area / rows, width)):
            n_cells = -(-height // rows) * -(-width // columns)
            error = abs(np.log(n_cells / n_segments))
            best = min(best, (error, (rows, columns)))
    return best[1]


def _whole_numbers(x: float) -> set[int]:
    return {max(int(x), 1), int(np.ceil(x))}


def _nearby_cells(n_rows: int, n_columns: int) -> NDArray[np.int32]:
    """Return each cell and its eight neighbors, (n_cells, 9).

    Cells outside the image are replaced by the cell itself.
    """
    row, column = np.divmod(np.arange(n_rows * n_columns), n_columns)
    by_row, by_column = (step.ravel() - 1 for step in np.indices((3, 3)))
    rows, columns = row[:, None] + by_row, column[:, None] + by_column
    inside = (rows >= 0) & (rows < n_rows) & (columns >= 0) & (columns < n_columns)
    itself = np.arange(len(row))[:, None]
    return np.where(inside, rows * n_columns + columns, itself).astype(np.int32)


def _pixels_of_cells(
    lab: NDArray[np.float32],
    grid: tuple[int, int],
    cell: tuple[int, int],
    compactness: float,
) -> NDArray[np.float32]:
    """Return the pixels of each cell, (n_cells, n_planes, rows, columns), padded by 0.

    The planes are the channels, rows, columns, and ones.
    """
    n_planes = lab.shape[2] + _N_MORE
    height, width = lab.shape[:2]
    scale = np.float32(compactness / (cell[0] * cell[1]) ** 0.5)
    rows = np.arange(height, dtype=np.float32)[:, None] * scale
    columns = np.arange(width, dtype=np.float32) * scale
    pixels = np.empty((*grid, n_planes, *cell), dtype=np.float32)
    planes = [*np.moveaxis(lab, 2, 0), rows, columns, np.float32(1)]
    padded = np.zeros((grid[0] * cell[0], grid[1] * cell[1]), dtype=np.float32)
    for channel, plane in enumerate(planes):
        padded[:height, :width] = plane
        cells = padded.reshape(grid[0], cell[0], grid[1], cell[1])
        pixels[:, :, channel] = cells.swapaxes(1, 2)
    return pixels.reshape(-1, n_planes, *cell)


def _flat(pixels: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.ascontiguousarray(pixels).reshape(*pixels.shape[:2], -1)


def _find_centers(
    pixels: NDArray[np.float32], near: NDArray[np.int32]
) -> NDArray[np.float32]:
    """Return the sums of the pixels of each center, (n_cells, n_planes).

    The centers start as the means of the cells. The last column is the number of
    pixels.
    """
    n_cells, n_planes, _ = pixels.shape
    rows = np.ascontiguousarray(pixels.swapaxes(1, 2)).reshape(-1, n_planes)
    ones, each = np.ones(len(rows), dtype=np.float32), np.arange(len(rows) + 1)
    sums = pixels.sum(axis=2)
    for _ in range(_ROUNDS):
        labels = _nearest(pixels, sums, near).ravel()
        members = sparse.csr_array((ones, labels, each), shape=(len(rows), n_cells))
        sums = members.T @ rows
    return sums


def _nearest(
    pixels: NDArray[np.float32], sums: NDArray[np.float32], near: NDArray[np.int32]
) -> NDArray[np.int32]:
    """Return the nearest of nine centers for each pixel, (n_cells, n_pixels).

    |x - c|^2 is the sum of |x|^2 and the product of (x, 1) with (-2 c, |c|^2). |x|^2 is
    the same for all centers.
    """
    means = sums[:, :-1] / np.maximum(sums[:, -1:], 1)
    factors = np.empty_like(sums)
    factors[:, :-1] = -2 * means
    factors[:, -1] = np.einsum("ij,ij->i", means, means)
    factors[sums[:, -1] == 0, -1] = np.finfo(np.float32).max  # no pixel chooses it
    n_cells, _, n_pixels = pixels.shape
    labels = np.empty((n_cells, n_pixels), dtype=np.int32)
    size = max(1, _PIXELS_AT_ONCE // n_pixels)
    for start in range(0, n_cells, size):
        part = slice(start, start + size)
        distance = factors[near[part]] @ pixels[part]
        best = distance[:, 0].copy()
        choice = np.zeros(best.shape, dtype=np.uint8)
        for k in range(1, near.shape[1]):
            closer = distance[:, k] < best
            # k increases, so the maximum is the last center that was closer.
            np.maximum(choice, closer.view(np.uint8) * np.uint8(k), out=choice)
            np.minimum(best, distance[:, k], out=best)
        first = np.arange(len(best))[:, None] * near.shape[1]
        labels[part] = np.take(near[part], first + choice)
    return labels


def _connect(segments: NDArray[np.int32], smallest: float) -> NDArray[np.intp]:
    """Return the connected parts, after small parts are merged with a neighbor.

    The largest part of each label is never merged, however small it is. Otherwise
    superpixels of noisy images would be merged.
    """
    from skimage.measure import label

    parts = label(segments, background=-1, connectivity=1) - 1
    areas = np.bincount(parts.ravel())
    label_of_part = np.empty(len(areas), dtype=np.intp)
    label_of_part[parts.ravel()] = segments.ravel()
    ascending = np.argsort(areas, kind="stable")
    largest = np.zeros(label_of_part.max() + 1, dtype=np.intp)
    largest[label_of_part[ascending]] = ascending
    stays = areas >= smallest
    stays[largest[label_of_part]] = True
    one, other = borders(parts)
    target = np.arange(len(areas))
    while not stays[target].all():
        # Small parts that border only on other small parts are merged in a later round.
        one, other = target[one], target[other]
        border = stays[one] != stays[other]
        first, second = one[border], other[border]
        leaves = np.where(stays[first], second, first)
        step = np.arange(len(areas))
        step[leaves] = np.where(stays[first], first, second)
        target = step[target]
    number = np.cumsum(stays) - 1
    return number[target][parts]
