"""Pictures of label maps, and of what the zoom-out levels see and say."""

from .segmentation import PALETTE, VOID_COLOR, SegmentationDisplay
from .zoom_importance import ZoomImportanceDisplay
from .zoomout import ZoomoutDisplay

__all__ = [
    "PALETTE",
    "VOID_COLOR",
    "SegmentationDisplay",
    "ZoomImportanceDisplay",
    "ZoomoutDisplay",
]
