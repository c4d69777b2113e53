"""Linear filters of float32 images.

Pixels outside the image have the value of the nearest border pixel. If `out` is an
array of the shape of the image, the result is written to it.
"""

import cv2
import numpy as np


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
