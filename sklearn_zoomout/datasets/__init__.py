"""Annotated images to learn from: a public data set, photographs, made-up scenes."""

from .photographs import load_scribbled_photographs
from .scenes import SCENE_CLASSES, make_scenes
from .stanford_background import fetch_stanford_background

__all__ = [
    "SCENE_CLASSES",
    "fetch_stanford_background",
    "load_scribbled_photographs",
    "make_scenes",
]
