"""The superpixels of one image, by SLIC or by a method of the user's."""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..descriptors import bands_to_lightness, rgb_to_lab
from ..images import as_float
from ._reading import ReadImage
from ._slic import slic


def slic_image(
    read: ReadImage, n_segments: int, compactness: float, side: int | None
) -> NDArray[Any]:
    """Cut an image by SLIC, in L*a*b* or in the lightness of its bands.

    Parameters
    ----------
    read : ReadImage
        The image.
    n_segments : int
        Number of superpixels, at most one per pixel.
    compactness : float
        The weight of distances in space.
    side : int or None
        The side of the squares that SLIC begins with, in place of ``n_segments``.

    Returns
    -------
    ndarray of integers of shape (height, width)
    """
    image = read.image
    n_segments = min(n_segments, image.shape[0] * image.shape[1])
    if not read.bands:
        return slic(rgb_to_lab(image), n_segments, compactness, cell=side)
    # Equal bands have the distances of one gray image.
    lightness = bands_to_lightness(image)
    lightness /= np.float32(image.shape[2] ** 0.5)
    return slic(lightness, n_segments, compactness, cell=side)


def call_method(
    method: Callable[[NDArray[np.float32]], NDArray[Any]],
    image: NDArray[Any],
    index: int,
) -> NDArray[Any]:
    """Cut an image by a callable of the user's, and check what it returns.

    Parameters
    ----------
    method : callable
        See `SuperpixelSegmenter`.
    image : ndarray of shape (height, width, n_channels)
        The image.
    index : int
        Its position, for the error.

    Returns
    -------
    ndarray of integers of shape (height, width)

    Raises
    ------
    ValueError
        If it is no label map of the image.
    """
    segments = np.asarray(method(as_float(image)))
    if segments.shape != image.shape[:2] or segments.dtype.kind not in "iu":
        raise ValueError(
            f"images[{index}]: expected `method` to return an integer label map "
            f"of shape {image.shape[:2]}, got dtype {segments.dtype} and shape "
            f"{segments.shape}."
        )
    return segments
