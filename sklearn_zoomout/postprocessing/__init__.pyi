from ._islands import IslandRemoval as IslandRemoval
from ._smoothing import GraphSmoothing as GraphSmoothing
