"""Superpixels (section 4.1): SLIC, and the geometry of the image that it cuts."""

from ._segmented_image import SegmentedImage
from ._segmenter import SuperpixelSegmenter
from ._slic import slic
from ._superpixels import Superpixels, check_superpixels

__all__ = [
    "SegmentedImage",
    "SuperpixelSegmenter",
    "Superpixels",
    "check_superpixels",
    "slic",
]
