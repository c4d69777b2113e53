"""The classifier of superpixels (sections 2.2 and 4.3).

Masks are converted to labels of rows. Rows are standardized, and a network processes
them in batches. The predicted classes of rows are converted to label maps.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
