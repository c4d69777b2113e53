from ._segmented_image import SegmentedImage as SegmentedImage
from ._segmenter import SuperpixelSegmenter as SuperpixelSegmenter
from ._sequence import Superpixels as Superpixels
from ._sequence import check_superpixels as check_superpixels
from ._slic import slic as slic
