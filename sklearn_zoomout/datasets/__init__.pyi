from ._picture import read_image as read_image
from ._reading import FileSequence as FileSequence
from ._reading import read_photograph as read_photograph
from ._scenes import SCENE_CLASSES as SCENE_CLASSES
from ._scenes import make_scenes as make_scenes
from ._scribbled_photographs import (
    load_scribbled_photographs as load_scribbled_photographs,
)
from ._stanford_background import fetch_stanford_background as fetch_stanford_background
from ._voc2012 import load_voc2012 as load_voc2012
from ._voc2012 import voc_colors as voc_colors
from ._voc_submission import write_voc_submission as write_voc_submission
