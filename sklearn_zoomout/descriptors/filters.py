"""Linear filters of float32 images; the border is repeated."""

import cv2
import numpy as np


def gaussian(image: np.ndarray, sigma: float) -> np.ndarray:
    """Blur every channel; `sigma` is in pixels."""
    return cv2.GaussianBlur(image, (0, 0), sigma, borderType=cv2.BORDER_REPLICATE)


def derivative(channel: np.ndarray, axis: int) -> np.ndarray:
    """Subtract the previous pixel from the next one along an axis."""
    order = (0, 1) if axis == 0 else (1, 0)
    return cv2.Sobel(
        channel, cv2.CV_32F, *order, ksize=1, borderType=cv2.BORDER_REPLICATE
    )


def laplacian(channel: np.ndarray) -> np.ndarray:
    """Sum the second differences along rows and columns."""
    return cv2.Laplacian(channel, cv2.CV_32F, ksize=1, borderType=cv2.BORDER_REPLICATE)
