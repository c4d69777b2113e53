"""ZoomNet: the backbone that comes with the library, and its weights."""

from ._network import ZoomNet

__all__ = ["ZoomNet"]
