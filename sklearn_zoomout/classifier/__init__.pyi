from ._base import SuperpixelClassifier as SuperpixelClassifier
from ._classifier import ZoomoutClassifier as ZoomoutClassifier
