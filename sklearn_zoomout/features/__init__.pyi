from ._base import RegionFeatures as RegionFeatures
from ._local import LocalFeatures as LocalFeatures
from ._local_convnet import LocalConvnetFeatures as LocalConvnetFeatures
from ._proximal import ProximalFeatures as ProximalFeatures
from ._union import ZoomoutUnion as ZoomoutUnion
from .convnet import ConvnetRegionFeatures as ConvnetRegionFeatures
from .convnet import ConvnetSuperpixelFeatures as ConvnetSuperpixelFeatures
from .convnet import GlobalFeatures as GlobalFeatures
