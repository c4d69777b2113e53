"""Semantic segmentation with zoom-out features, as scikit-learn estimators.

The names are listed in ``__init__.pyi`` and imported on first use, so that the package
loads at once and without torch.
"""

import lazy_loader

from ._version import __version__ as __version__

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
