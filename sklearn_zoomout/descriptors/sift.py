"""Visual words: SIFT descriptors on a dense grid, quantized."""

import cv2
import numpy as np
from scipy import sparse

from .histograms import entropy, normalize
from .vocabulary import fit_centers, nearest_center

STEP = 8
PATCH_SIZES = (8, 18)
_CHANNELS = ("L", "a", "b")
_N_CELLS = 4
_N_ORIENTATIONS = 8
# Weaker gradients, in units of L*a*b* per pixel, are rounding errors: a uniform patch
# gets the descriptor zero instead of amplified noise.
_FLAT = 1e-3


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
    """
    height, width = channel.shape
    rows, columns = grid(channel.shape, step)
    cell = patch_size / _N_CELLS
    maps = _orientation_maps(_smooth(channel, cell / 3))
    pooled = _cell_weights(rows, height, cell) @ maps.reshape(height, -1)
    pooled = pooled.reshape(-1, _N_ORIENTATIONS, width).transpose(2, 0, 1)
    pooled = _cell_weights(columns, width, cell) @ pooled.reshape(width, -1)
    cells = pooled.reshape(
        len(columns), _N_CELLS, len(rows), _N_CELLS, _N_ORIENTATIONS
    ).transpose(2, 0, 3, 1, 4)
    points = np.stack(np.meshgrid(rows, columns, indexing="ij"), axis=-1)
    return points.reshape(-1, 2), _normalize_descriptors(cells.reshape(-1, 128))


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
    channels = [np.ascontiguousarray(lab[..., c]) for c in range(3)]
    return np.stack([dense_sift(c, size)[1] for c in channels for size in PATCH_SIZES])


def fit_words(
    samples: np.ndarray,
    n_words: int = 500,
    random_state: int | np.random.RandomState | None = None,
) -> np.ndarray:
    """Cluster descriptors into one dictionary for all channels and patch sizes.

    Parameters
    ----------
    samples : array of shape (n_samples, 128)
        A sample of the training images' descriptors.
    n_words : int, default=500
        Number of words.
    random_state : int, RandomState instance or None, default=None
        Seeds k-means.

    Returns
    -------
    words : array of shape (n_words, 128), float32
        Centers.
    """
    return fit_centers(samples, n_words, random_state)


def assign_words(descriptors: np.ndarray, words: np.ndarray) -> np.ndarray:
    """Assign descriptors to their nearest words.

    Parameters
    ----------
    descriptors : array of shape (..., 128), float32
        From `dense_sift` or `image_sift`.
    words : array of shape (n_words, 128), float32
        From `fit_words`.

    Returns
    -------
    codes : array of shape (...), int32
        Numbers of words.
    """
    codes = nearest_center(descriptors.reshape(-1, descriptors.shape[-1]), words)
    return codes.reshape(descriptors.shape[:-1])


def points_of_regions(
    segments: np.ndarray, neighborhood: sparse.csr_array, centroids: np.ndarray
) -> sparse.csr_array:
    """Which points of the grid each region holds.

    Parameters
    ----------
    segments : array of shape (height, width), int
        Label map of the superpixels.
    neighborhood : csr array of shape (n_regions, n_superpixels)
        1 where a superpixel belongs to a region.
    centroids : array of shape (n_regions, 2)
        Row and column of each region's centroid.

    Returns
    -------
    membership : csr array of shape (n_regions, n_points), float32
        1 where a region holds a point. A region that holds none takes the point
        nearest to its centroid.
    """
    rows, columns = grid(segments.shape)
    owners = segments[np.ix_(rows, columns)].ravel()
    n_regions, n_superpixels = neighborhood.shape
    held = sparse.csr_array(
        (np.ones(owners.size, np.float32), (owners, np.arange(owners.size))),
        shape=(n_superpixels, owners.size),
    )
    membership = sparse.csr_array(neighborhood @ held)
    empty = np.flatnonzero(np.diff(membership.indptr) == 0)
    nearest = [
        np.clip(np.rint((centroids[empty, axis] - line[0]) / STEP), 0, len(line) - 1)
        for axis, line in enumerate((rows, columns))
    ]
    points = (nearest[0] * len(columns) + nearest[1]).astype(np.int64)
    borrowed = sparse.csr_array(
        (np.ones(empty.size, np.float32), (empty, points)), shape=membership.shape
    )
    return membership + borrowed


def word_features(
    membership: sparse.csr_array, codes: np.ndarray, n_words: int
) -> np.ndarray:
    """Histograms over the words per channel, and six entropies.

    Parameters
    ----------
    membership : csr array of shape (n_regions, n_points)
        From `points_of_regions`.
    codes : array of shape (6, n_points), int
        Words of the points, ordered as by `image_sift`.
    n_words : int
        Size of the dictionary.

    Returns
    -------
    features : array of shape (n_regions, 3 * n_words + 6), float32
        The two patch sizes' histograms averaged per channel, then the entropy of each
        of the six histograms before averaging, as named by `word_names`.
    """
    histograms = [_word_histogram(membership, pair, n_words) for pair in codes]
    averages = [
        (small + large).toarray() / 2
        for small, large in zip(histograms[::2], histograms[1::2], strict=True)
    ]
    entropies = [entropy(histogram)[:, None] for histogram in histograms]
    return np.concatenate(averages + entropies, axis=1)


def word_names(n_words: int = 500) -> list[str]:
    """Names of the visual word features."""
    return [
        *(f"sift_{c}_word_{i:03d}" for c in _CHANNELS for i in range(n_words)),
        *(f"sift_{c}_{size}px_entropy" for c in _CHANNELS for size in PATCH_SIZES),
    ]


def _smooth(channel: np.ndarray, sigma: float) -> np.ndarray:
    """Blur to the scale sigma, given that cameras blur by 0.5 pixels (Lowe)."""
    extra = max(sigma**2 - 0.25, 1e-4) ** 0.5
    return cv2.GaussianBlur(channel, (0, 0), extra, borderType=cv2.BORDER_REPLICATE)


def _orientation_maps(channel: np.ndarray) -> np.ndarray:
    """Gradient magnitudes shared between orientations, as (height, 8, width)."""
    border = {"borderType": cv2.BORDER_REPLICATE, "ksize": 1}
    dx = cv2.Sobel(channel, cv2.CV_32F, 1, 0, **border)
    dy = cv2.Sobel(channel, cv2.CV_32F, 0, 1, **border)
    magnitude, angle = cv2.cartToPolar(dx, -dy)  # rows count downwards
    magnitude = cv2.threshold(magnitude, _FLAT, 0, cv2.THRESH_TOZERO)[1]
    height, width = channel.shape
    position = angle * np.float32(_N_ORIENTATIONS / (2 * np.pi))
    lower = position.astype(np.int32)
    upper_share = magnitude * (position - lower)
    start = np.arange(height)[:, None] * (_N_ORIENTATIONS * width) + np.arange(width)
    maps = np.zeros((height, _N_ORIENTATIONS, width), dtype=np.float32)
    flat = maps.reshape(-1)
    flat[start + lower % _N_ORIENTATIONS * width] = magnitude - upper_share
    flat[start + (lower + 1) % _N_ORIENTATIONS * width] = upper_share
    return maps


def _cell_weights(points: np.ndarray, length: int, cell: float) -> sparse.csr_array:
    """Weights of positions along one axis in the four cells of each point.

    Returns a csr array of shape (4 * n_points, length): a Gaussian around the point of
    half the patch's width, times a triangle around the cell's center.
    """
    centers = (np.arange(_N_CELLS) - (_N_CELLS - 1) / 2) * cell
    reach = int(np.ceil(centers[-1] + cell))
    offsets = np.arange(-reach, reach + 1)
    triangles = np.maximum(0, 1 - np.abs(offsets - centers[:, None]) / cell)
    kernels = triangles * np.exp(-((offsets / (_N_CELLS / 2 * cell)) ** 2) / 2)
    point, cells, offset = np.ix_(points, range(_N_CELLS), offsets)
    position = np.broadcast_to(point + offset, (len(points), *kernels.shape))
    weight = np.broadcast_to(kernels, position.shape)
    row = np.broadcast_to(
        np.arange(len(points) * _N_CELLS).reshape(-1, _N_CELLS, 1), position.shape
    )
    inside = (weight > 0) & (position >= 0) & (position < length)
    return sparse.csr_array(
        (weight[inside].astype(np.float32), (row[inside], position[inside])),
        shape=(len(points) * _N_CELLS, length),
    )


def _normalize_descriptors(descriptors: np.ndarray) -> np.ndarray:
    """Lowe's normalization: norm 1, at most 0.2, norm 1 again; zeros stay zeros."""
    for limit in (0.2, 1):
        norm = np.sqrt(np.einsum("ij,ij->i", descriptors, descriptors))
        descriptors = descriptors / np.where(norm > 0, norm, 1)[:, None]
        descriptors = np.minimum(descriptors, limit)
    return descriptors


def _word_histogram(
    membership: sparse.csr_array, codes: np.ndarray, n_words: int
) -> sparse.csr_array:
    """Normalized histogram of the words of each region's points."""
    counts = sparse.csr_array(
        (membership.data.copy(), codes[membership.indices], membership.indptr.copy()),
        shape=(membership.shape[0], n_words),
    )
    counts.sum_duplicates()
    return normalize(counts)
