"""The warnings of the package. Each can be filtered by its class."""


class SuperpixelWarning(UserWarning):
    """An image has far fewer superpixels than ``n_segments``."""


class BlackImageWarning(UserWarning):
    """An image is almost black, as a mask is, or an image that was divided twice."""


class ClippedImageWarning(UserWarning):
    """Most values of an image are outside of the declared ``value_range``."""


class ScaleWarning(UserWarning):
    """Images are described at another scale than those of fit."""


class EmptyMaskWarning(UserWarning):
    """A mask has no labeled pixel, so its image is not used in training."""


class MaskWarning(UserWarning):
    """Masks look as if they were not what was meant. Its kinds are the next three."""


class UnlabeledWarning(MaskWarning):
    """A label looks like a mark of unlabeled pixels, or a mark of them never occurs."""


class SoftEdgeWarning(MaskWarning):
    """Labels look like mixtures of others, from smooth edges or from resizing."""


class LostClassWarning(MaskWarning):
    """A class loses most of its pixels, since superpixels have one label each."""


class AbsentClassWarning(UserWarning):
    """A class has no superpixel in the training data, so it is not learned."""


class FewIslandsWarning(UserWarning):
    """Too few isolated regions are predicted to learn which of them are mistakes."""


class CacheWarning(UserWarning):
    """Kept results are damaged and computed again, or a result is not kept."""


class CheckpointWarning(UserWarning):
    """A checkpoint is damaged, so that a training starts from its beginning."""


class PrecisionWarning(UserWarning):
    """The steps of float16 are too coarse for the range of some columns."""


class ModelVersionWarning(UserWarning):
    """A step of a loaded model computes something else than when it was saved."""
