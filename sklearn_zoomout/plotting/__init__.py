"""Figures of label maps, and of what the zoom-out levels see."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
