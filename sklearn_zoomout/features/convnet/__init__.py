"""The levels that describe superpixels by a convnet."""

from ._global import GlobalFeatures
from ._region import ConvnetRegionFeatures
from ._superpixel import ConvnetSuperpixelFeatures

__all__ = ["ConvnetRegionFeatures", "ConvnetSuperpixelFeatures", "GlobalFeatures"]
