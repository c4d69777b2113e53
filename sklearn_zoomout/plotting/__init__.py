"""Pictures of label maps, and of what the zoom-out levels see."""

from ._segmentation import PALETTE, UNLABELED_COLOR, SegmentationDisplay
from ._zoomout import ZoomoutDisplay

__all__ = [
    "PALETTE",
    "UNLABELED_COLOR",
    "SegmentationDisplay",
    "ZoomoutDisplay",
]
