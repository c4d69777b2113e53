"""ZoomNet and its larger sibling: the backbones that come with the library."""

from ._network import ZoomNet, ZoomNetLarge

__all__ = ["ZoomNet", "ZoomNetLarge"]
