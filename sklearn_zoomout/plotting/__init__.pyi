from ._segmentation import PALETTE as PALETTE
from ._segmentation import UNLABELED_COLOR as UNLABELED_COLOR
from ._segmentation import SegmentationDisplay as SegmentationDisplay
from ._zoomout import ZoomoutDisplay as ZoomoutDisplay
