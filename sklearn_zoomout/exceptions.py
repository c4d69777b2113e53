"""The named warnings of the package; each can be filtered by its class."""


class SuperpixelWarning(UserWarning):
    """An image got far fewer superpixels than were asked for."""


class EmptyMaskWarning(UserWarning):
    """A mask has no labeled pixel, so its image takes no part in training."""


class AbsentClassWarning(UserWarning):
    """No superpixel of the training data has this class, so it is not learned."""


class FewIslandsWarning(UserWarning):
    """Too few isolated regions were predicted to learn which of them are mistakes."""


class CacheWarning(UserWarning):
    """An entry of a `FeatureCache` is damaged, or a result is not kept in it."""


class PrecisionWarning(UserWarning):
    """float16 stores some columns too coarsely for the little that they vary."""
