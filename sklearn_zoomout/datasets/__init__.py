"""Annotated images to learn from: a public data set and made-up scenes."""

from .scenes import SCENE_CLASSES, make_scenes
from .stanford_background import fetch_stanford_background

__all__ = ["SCENE_CLASSES", "fetch_stanford_background", "make_scenes"]
