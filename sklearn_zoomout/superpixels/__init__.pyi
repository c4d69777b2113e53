from ._segmented_image import SegmentedImage as SegmentedImage
from ._segmenter import SuperpixelSegmenter as SuperpixelSegmenter
from ._slic import slic as slic
from ._superpixels import Superpixels as Superpixels
from ._superpixels import check_superpixels as check_superpixels
