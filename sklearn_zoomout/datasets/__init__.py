"""Annotated images to learn from: public data sets and made-up scenes."""

from .scenes import SCENE_CLASSES, make_scenes
from .stanford_background import fetch_stanford_background
from .voc2012 import load_voc2012, voc_colors
from .voc_submission import write_voc_submission

__all__ = [
    "SCENE_CLASSES",
    "fetch_stanford_background",
    "load_voc2012",
    "make_scenes",
    "voc_colors",
    "write_voc_submission",
]
