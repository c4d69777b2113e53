"""Hand-crafted descriptors (section 4.2.1): pure functions of arrays.

Every descriptor turns pixels, or points of a grid, into codes: a color bin, a texton,
a visual word. A region of any shape is then described by the histograms of the codes
that it holds, so all levels share the work done per pixel.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
