"""The warnings of the package. Each can be filtered by its class."""


class SuperpixelWarning(UserWarning):
    """An image has far fewer superpixels than ``n_segments``."""


class ScaleWarning(UserWarning):
    """Images are described at another scale than those of fit."""


class EmptyMaskWarning(UserWarning):
    """A mask has no labeled pixel, so its image is not used in training."""


class AbsentClassWarning(UserWarning):
    """A class has no superpixel in the training data, so it is not learned."""


class FewIslandsWarning(UserWarning):
    """Too few isolated regions are predicted to learn which of them are mistakes."""


class CacheWarning(UserWarning):
    """A `FeatureCache` has a damaged entry, or does not store a result."""


class PrecisionWarning(UserWarning):
    """The steps of float16 are too coarse for the range of some columns."""
