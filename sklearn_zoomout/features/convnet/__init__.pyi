from ._global import GlobalFeatures as GlobalFeatures
from ._region import ConvnetRegionFeatures as ConvnetRegionFeatures
from ._superpixel import ConvnetSuperpixelFeatures as ConvnetSuperpixelFeatures
