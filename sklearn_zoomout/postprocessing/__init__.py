"""Clean-up of predictions on the superpixel graph.

Islands are removed as in section 4.4; smoothing is what section 5 calls inference.
"""

from ._islands import IslandRemoval
from ._smoothing import GraphSmoothing

__all__ = ["GraphSmoothing", "IslandRemoval"]
