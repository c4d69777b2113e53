"""Zoom-out levels: transformers that describe the superpixels of an image."""

from ._base import RegionFeatures
from ._local import LocalFeatures
from ._local_convnet import LocalConvnetFeatures
from ._proximal import ProximalFeatures
from ._union import ZoomoutUnion
from .convnet import (
    ConvnetRegionFeatures,
    ConvnetSuperpixelFeatures,
    GlobalFeatures,
)

__all__ = [
    "ConvnetRegionFeatures",
    "ConvnetSuperpixelFeatures",
    "GlobalFeatures",
    "LocalConvnetFeatures",
    "LocalFeatures",
    "ProximalFeatures",
    "RegionFeatures",
    "ZoomoutUnion",
]
