"""Hand-crafted descriptors (section 4.2.1): pure functions of arrays.

Color, texture and SIFT descriptors assign a code to every pixel or to every point of a
grid. A code is the number of a color bin, a texton or a visual word. The features of a
region are the histograms of its codes. Therefore all levels share the codes.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
