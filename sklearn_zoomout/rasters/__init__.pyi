from ._create import create_output as create_output
from ._open import open_raster as open_raster
from ._output import RasterOutput as RasterOutput
from ._raster import Raster as Raster
