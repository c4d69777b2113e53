"""Masks: the one gate for them, their files, and what is unlabeled in them."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
