"""Estimators around the classifier, which change its predictions.

`IslandRemoval` is the method of section 4.4. `GraphSmoothing` is the inference that
section 5 proposes. `PixelFusion` adds the pixel, as the closest zoom level.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
