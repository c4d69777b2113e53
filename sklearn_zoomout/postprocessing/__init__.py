"""Clean-up of predictions on the superpixel graph.

Islands are removed as in section 4.4; smoothing is what section 5 calls inference.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
