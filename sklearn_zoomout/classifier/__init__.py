"""The classifier of superpixels (sections 2.2 and 4.3).

Masks become labels of rows, rows are standardized and go through a network in batches,
and the classes of rows become label maps.
"""

from ._base import SuperpixelClassifier
from ._classifier import ZoomoutClassifier

__all__ = ["SuperpixelClassifier", "ZoomoutClassifier"]
