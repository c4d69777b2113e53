"""Annotated images to learn from: public data sets, photographs, made-up scenes."""

from ._files import FileSequence, read_photograph
from ._photographs import load_scribbled_photographs
from ._scenes import SCENE_CLASSES, make_scenes
from ._stanford_background import fetch_stanford_background
from ._voc2012 import load_voc2012, voc_colors
from ._voc_submission import write_voc_submission

__all__ = [
    "SCENE_CLASSES",
    "FileSequence",
    "fetch_stanford_background",
    "load_scribbled_photographs",
    "load_voc2012",
    "make_scenes",
    "read_photograph",
    "voc_colors",
    "write_voc_submission",
]
