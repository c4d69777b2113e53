"""Superpixels (section 4.1): SLIC, and the geometry of a segmented image."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
