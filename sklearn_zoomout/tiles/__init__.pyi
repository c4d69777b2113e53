from ._pipeline import ZoomoutPipeline as ZoomoutPipeline
from ._predict import predict_tiles as predict_tiles
from ._windows import labeled_windows as labeled_windows
