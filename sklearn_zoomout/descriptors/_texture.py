"""Textons: clusters of the responses of TextonBoost's filter bank."""

import cv2
import numpy as np

from ._filters import derivative, gaussian, laplacian
from ._histograms import entropy, normalize
from ._vocabulary import fit_centers, highest_score

N_FILTERS = 17
_GAUSSIAN_SCALES = (1, 2, 4)  # on L, a and b
_LAPLACIAN_SCALES = (1, 2, 4, 8)  # on L
_DERIVATIVE_SCALES = (2, 4)  # on L, along rows and along columns


def filter_responses(lab: np.ndarray, bands: bool = False) -> np.ndarray:
    """Filter an image with the 17 filters of TextonBoost.

    Parameters
    ----------
    lab : array of shape (height, width, n), float32
        An image in CIELAB, or the lightness of n bands.
    bands : bool, default=False
        Whether it is the lightness of bands.

    Returns
    -------
    responses : array of shape (height, width, 8 + 3 * n), float32
        Gaussians of L, a and b, or of every band, at the scales 1, 2 and 4 pixels.
        Laplacians of Gaussians of L at 1, 2, 4 and 8 pixels. Derivatives of Gaussians
        of L at 2 and 4 pixels, along x and along y. L is the mean of the bands if there
        are bands. The array is a view of planes.

    References
    ----------
    Shotton, Winn, Rother, Criminisi, "TextonBoost for image understanding",
    International Journal of Computer Vision 81 (2009).
    """
    channels = cv2.split(lab)
    n_filters = N_FILTERS + len(_GAUSSIAN_SCALES) * (len(channels) - 3)
    planes = np.empty((n_filters, *lab.shape[:2]), dtype=np.float32)
    rest = iter(planes)
    smooth = {}
    for scale in _GAUSSIAN_SCALES:
        blurred = [gaussian(channel, scale, out=next(rest)) for channel in channels]
        smooth[scale] = np.mean(blurred, axis=0) if bands else blurred[0]
    # Derivatives of the blurred image are fast compared with the blur. They need no
    # normalization over scales, since the responses are standardized later.
    for scale in _LAPLACIAN_SCALES:
        if scale not in smooth:
            lightness = lab.mean(axis=2) if bands else channels[0]
            smooth[scale] = gaussian(lightness, scale)
        laplacian(smooth[scale], out=next(rest))
    for scale in _DERIVATIVE_SCALES:
        for axis in (1, 0):
            derivative(smooth[scale], axis, out=next(rest))
    return np.moveaxis(planes, 0, -1)


def fit_textons(
    samples: np.ndarray,
    n_textons: int = 64,
    random_state: int | np.random.RandomState | None = None,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Cluster standardized filter responses into textons.

    Parameters
    ----------
    samples : array of shape (n_samples, n_filters)
        Responses at a sample of pixels of the training images.
    n_textons : int, default=64
        Number of textons.
    random_state : int, RandomState instance or None, default=None
        Seed of k-means.

    Returns
    -------
    textons : array of shape (n_textons, n_filters), float32
        Cluster centers in standardized responses.
    mean, scale : arrays of shape (n_filters,), float32
        Mean and standard deviation of the samples. If the response of a filter is
        constant, its scale is infinite, so that the filter is ignored.
    """
    mean = samples.mean(axis=0, dtype=np.float64).astype(np.float32)
    scale = samples.std(axis=0, dtype=np.float64).astype(np.float32)
    # In training images without colors or texture, some responses are constant up to
    # rounding. These filters must not count in other images.
    scale[scale < 1e-3] = np.inf
    textons = fit_centers((samples - mean) / scale, n_textons, random_state)
    return textons, mean, scale


def assign_textons(
    responses: np.ndarray, textons: np.ndarray, mean: np.ndarray, scale: np.ndarray
) -> np.ndarray:
    """Assign every pixel to its nearest texton.

    Parameters
    ----------
    responses : array of shape (height, width, n_filters), float32
        From `filter_responses`.
    textons, mean, scale : arrays
        From `fit_textons`.

    Returns
    -------
    codes : array of shape (height, width), int32
        The number of the texton of every pixel.
    """
    # The responses of each filter are contiguous in memory.
    samples = np.moveaxis(responses, -1, 0).reshape(responses.shape[-1], -1).T
    # The product of a center and (x - mean) / scale is a linear function of x.
    weights = textons / scale
    offsets = weights @ mean + 0.5 * np.square(textons).sum(axis=1)
    codes = highest_score(samples, weights, offsets)
    return codes.reshape(responses.shape[:2])


def texture_features(counts: np.ndarray) -> np.ndarray:
    """Compute the histogram over the textons and its entropy.

    Parameters
    ----------
    counts : array of shape (n_regions, n_textons), float32
        Number of pixels of each texton in each region.

    Returns
    -------
    features : array of shape (n_regions, n_textons + 1), float32
        Their names are `texture_names`.
    """
    histograms = normalize(counts)
    return np.column_stack([histograms, entropy(histograms)])


def texture_names(n_textons: int = 64) -> list[str]:
    """Return the names of the texture features."""
    return [*(f"texton_{i:02d}" for i in range(n_textons)), "texton_entropy"]
