"""Linear filters of float32 images; the border is repeated.

The result is written to `out` where that is given, an array of the image's shape.
"""

import cv2
import numpy as np


def gaussian(
    image: np.ndarray, sigma: float, out: np.ndarray | None = None
) -> np.ndarray:
    """Blur every channel; `sigma` is in pixels."""
    return cv2.GaussianBlur(
        image, (0, 0), sigma, dst=out, borderType=cv2.BORDER_REPLICATE
    )


def derivative(
    channel: np.ndarray, axis: int, out: np.ndarray | None = None
) -> np.ndarray:
    """Subtract the previous pixel from the next one along an axis."""
    order = (0, 1) if axis == 0 else (1, 0)
    return cv2.Sobel(
        channel, cv2.CV_32F, *order, dst=out, ksize=1, borderType=cv2.BORDER_REPLICATE
    )


def laplacian(channel: np.ndarray, out: np.ndarray | None = None) -> np.ndarray:
    """Sum the second differences along rows and columns."""
    return cv2.Laplacian(
        channel, cv2.CV_32F, dst=out, ksize=1, borderType=cv2.BORDER_REPLICATE
    )
