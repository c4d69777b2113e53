"""The classifier of superpixels (sections 2.2 and 4.3).

Masks become labels of rows, rows are standardized and go through a network in batches,
and the classes of rows become label maps.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
