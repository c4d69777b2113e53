"""How large superpixels are, and a warning if those of fit had another size."""

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..exceptions import ScaleWarning, SuperpixelWarning
from ._reading import ReadImage

# By so much may the pixels of a superpixel differ from those of fit.
_FACTOR = 2


def superpixel_areas(
    images: Sequence[ReadImage], n_segments: int, segment_area: float | None
) -> list[float]:
    """Return the pixels per superpixel of each image.

    Parameters
    ----------
    images : sequence of ReadImage
        The images.
    n_segments : int
        Superpixels per image.
    segment_area : float or None
        Their pixels, in place of ``n_segments``.

    Returns
    -------
    list of float
    """
    if segment_area is not None:
        return [float(segment_area)] * len(images)
    return [max(image.n_pixels / n_segments, 1.0) for image in images]


def warn_of_another_scale(segmenter: Any, images: Sequence[ReadImage]) -> None:
    """Warn of the first image whose superpixels are not as large as those of fit.

    Parameters
    ----------
    segmenter : SuperpixelSegmenter
        A segmenter. Nothing is known of fit if it is not fitted.
    images : sequence of ReadImage
        The images.

    Warns
    -----
    ScaleWarning
        If there is one.
    """
    low, high = getattr(segmenter, "segment_areas_", (0.0, np.inf))
    areas = superpixel_areas(images, segmenter.n_segments, segmenter.segment_area)
    for i, area in enumerate(areas):
        if low / _FACTOR <= area <= high * _FACTOR:
            continue
        warnings.warn(
            f"images[{i}]: {area:.0f} pixels per superpixel, but {low:.0f} to "
            f"{high:.0f} in fit, so that features are of another scale. If the image "
            "shows as much as those of fit in more or fewer pixels, resize it to "
            "their size. If its pixels are of the same size as theirs, fit with "
            f"segment_area={segmenter.segment_area_:.0f} in place of n_segments, or "
            "use tiles.predict_tiles(model, image).",
            ScaleWarning,
            stacklevel=4,
        )
        return


def warn_of_few_pixels(images: Sequence[NDArray[Any]], n_segments: int) -> None:
    """Warn of images that have fewer pixels than they should have superpixels.

    Parameters
    ----------
    images : sequence of ndarray of shape (height, width, n_channels)
        The images.
    n_segments : int
        Superpixels per image.

    Warns
    -----
    SuperpixelWarning
        If there are such images.
    """
    n_pixels = [image.shape[0] * image.shape[1] for image in images]
    small = [i for i, number in enumerate(n_pixels) if number < n_segments]
    if small:
        warnings.warn(
            f"images{small}: fewer than {n_segments} superpixels, since there are only "
            f"{min(n_pixels)} pixels; use fewer n_segments.",
            SuperpixelWarning,
            stacklevel=4,
        )
