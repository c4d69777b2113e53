"""Filters of float32 images.

Pixels outside the image have the value of the nearest border pixel. If `out` is an
array of the shape of the image, the result is written to it.
"""

import math
from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

#: Number of filters of `pixel_filters` for each channel and each sigma.
N_RESPONSES = 4
# A Gaussian is computed on an image that is reduced until sigma has this many pixels.
_SIGMA_OF_REDUCED = 4


def gaussian(
    image: np.ndarray, sigma: float, out: np.ndarray | None = None
) -> np.ndarray:
    """Blur every channel by a Gaussian of `sigma` pixels."""
    return cv2.GaussianBlur(
        image, (0, 0), sigma, dst=out, borderType=cv2.BORDER_REPLICATE
    )


def derivative(
    channel: np.ndarray, axis: int, out: np.ndarray | None = None
) -> np.ndarray:
    """Compute the difference of the next and the previous pixel along an axis."""
    order = (0, 1) if axis == 0 else (1, 0)
    return cv2.Sobel(
        channel, cv2.CV_32F, *order, dst=out, ksize=1, borderType=cv2.BORDER_REPLICATE
    )


def laplacian(channel: np.ndarray, out: np.ndarray | None = None) -> np.ndarray:
    """Compute the sum of the second differences along rows and columns."""
    return cv2.Laplacian(
        channel, cv2.CV_32F, dst=out, ksize=1, borderType=cv2.BORDER_REPLICATE
    )


def pixel_filters(
    channels: NDArray[np.float32], sigmas: Sequence[float], opponents: bool = False
) -> NDArray[np.float32]:
    """Describe every pixel by a Gaussian, its slope and its curvatures.

    Parameters
    ----------
    channels : ndarray of float32 of shape (n_channels, height, width)
        The channels of an image.
    sigmas : sequence of float
        The standard deviations of the Gaussians in pixels, > 0. Large ones are computed
        on a reduced image, and their results are enlarged bilinearly.
    opponents : bool, default=False
        Whether to add opponent colors. The channels are then red, green and blue.

    Returns
    -------
    ndarray of float32 of shape (n_filters, height, width)
        For every channel, and every sigma, 4 filters: the smoothed channel, the
        magnitude of its gradient, and the larger and the smaller eigenvalue of its
        Hessian. Derivatives are central differences, in units of the reduced image.
        Then, for every sigma, the smoothed red minus green, and, for every sigma, the
        smoothed yellow, which is the mean of red and green, minus blue.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_zoomout.descriptors._filters import pixel_filters
    >>> bright_line = np.zeros((1, 9, 9), dtype=np.float32)
    >>> bright_line[:, 4] = 1
    >>> gray, slope, high, low = pixel_filters(bright_line, [1])[:, 4, 4]
    >>> bool(slope == 0 and low < 0)
    True
    """
    n_channels, height, width = channels.shape
    n_responses = n_channels * len(sigmas) * N_RESPONSES
    n_opponents = 2 * len(sigmas) if opponents else 0
    planes = np.empty((n_responses + n_opponents, height, width), dtype=np.float32)
    shape = (n_channels, len(sigmas), N_RESPONSES, height, width)
    responses = planes[:n_responses].reshape(shape)
    # Memory that is used again is not asked for, which takes longer than the filters.
    work = np.empty((3, height, width), dtype=np.float32)
    for channel, of_channel in zip(channels, responses, strict=True):
        for sigma, out in zip(sigmas, of_channel, strict=True):
            step = reduction(sigma)
            if step == 1:
                _respond(channel, sigma, out, work)
            else:
                _respond_reduced(channel, sigma, step, out)
    if opponents:
        red, green, blue = responses[:, :, 0]
        red_green, yellow_blue = planes[n_responses:].reshape(2, -1, height, width)
        np.subtract(red, green, out=red_green)
        np.add(red, green, out=yellow_blue)
        yellow_blue *= 0.5
        yellow_blue -= blue
    return planes


def reduction(sigma: float) -> int:
    """Return the power of 2 by which an image is reduced before its Gaussian."""
    return 2 ** max(0, math.floor(math.log2(sigma / _SIGMA_OF_REDUCED)))


def _respond(
    channel: NDArray[np.float32],
    sigma: float,
    out: NDArray[Any],
    work: NDArray[np.float32],
) -> None:
    """Write the four filters of a channel to an array of shape (4, height, width).

    What is computed on the way is written to ``work``, of shape (3, height, width).
    """
    smooth, slope, high, low = out
    dx, dy, dxy = work
    gaussian(channel, sigma, out=smooth)
    derivative(smooth, 0, out=dy)
    derivative(smooth, 1, out=dx)
    derivative(dx, 0, out=dxy)
    dxx, dyy = derivative(dx, 1, out=high), derivative(dy, 0, out=low)
    _norm(dx, dy, out=slope)
    half_sum, half_difference = dx, dy
    np.add(dxx, dyy, out=half_sum)
    half_sum *= 0.5
    np.subtract(dxx, dyy, out=half_difference)
    half_difference *= 0.5
    # The eigenvalues are the half sum of the second derivatives, plus and minus this.
    radius = _norm(half_difference, dxy, out=half_difference)
    np.add(half_sum, radius, out=high)
    np.subtract(half_sum, radius, out=low)


def _norm(
    x: NDArray[np.float32], y: NDArray[np.float32], out: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Write the lengths of vectors (x, y) to `out`, which may be x; y is lost."""
    # cv2.magnitude rounds otherwise where the memory begins elsewhere.
    np.square(y, out=y)
    np.square(x, out=out)
    out += y
    return np.sqrt(out, out=out)


def _respond_reduced(
    channel: NDArray[np.float32], sigma: float, step: int, out: NDArray[Any]
) -> None:
    """Do the same with the means of blocks of pixels, and enlarge the results."""
    height, width = channel.shape
    padded = np.pad(channel, ((0, -height % step), (0, -width % step)), mode="edge")
    size = padded.shape[1] // step, padded.shape[0] // step
    small = cv2.resize(padded, size, interpolation=cv2.INTER_AREA)
    # The mean of a block is a filter too, of this variance.
    of_blocks = (step**2 - 1) / 12
    shape = size[::-1]
    responses = np.empty((len(out), *shape), dtype=np.float32)
    work = np.empty((3, *shape), dtype=np.float32)
    _respond(np.asarray(small), math.sqrt(sigma**2 - of_blocks) / step, responses, work)
    enlarged = np.empty_like(padded)
    for response, plane in zip(responses, out, strict=True):
        cv2.resize(response, padded.shape[::-1], dst=enlarged)
        plane[:] = enlarged[:height, :width]
