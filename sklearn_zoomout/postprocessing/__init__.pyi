from ._islands import IslandRemoval as IslandRemoval
from ._pixel_fusion import PixelFusion as PixelFusion
from ._smoothing import GraphSmoothing as GraphSmoothing
