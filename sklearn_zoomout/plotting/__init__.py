"""Pictures of label maps, and of what the zoom-out levels see."""

from .segmentation import PALETTE, VOID_COLOR, SegmentationDisplay
from .zoomout import ZoomoutDisplay

__all__ = ["PALETTE", "VOID_COLOR", "SegmentationDisplay", "ZoomoutDisplay"]
