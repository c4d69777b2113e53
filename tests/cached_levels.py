"""What the tests of the cache share: a level of the user's own, and small helpers."""

import numpy as np
from sklearn.base import clone

from sklearn_zoomout import LocalFeatures, RegionFeatures, SuperpixelSegmenter

SEGMENTER = SuperpixelSegmenter(n_segments=40)
COLORS = LocalFeatures(descriptors=("color",))


class MeanColor(RegionFeatures):
    """Features of the user's own that may be kept."""

    block_name = "color"
    cache_version = 1

    def __init__(self, gain=1.0, memory=None, n_jobs=None):
        self.gain = gain
        self.memory = memory
        self.n_jobs = n_jobs

    def learn(self, superpixels, masks=None):
        self.mean_ = np.mean([s.rgb.mean(axis=(0, 1)) for s in superpixels], axis=0)

    def describe(self, segmented):
        labels = segmented.segments.ravel()
        channels = segmented.rgb.reshape(-1, 3).T
        sums = np.array([np.bincount(labels, channel) for channel in channels])
        return self.gain * ((sums / segmented.areas).T - self.mean_)

    def column_names(self):
        return ["red", "green", "blue"]


def name_of(estimator):
    return type(estimator).__name__


def entries(folder):
    """Return the sorted paths of the entries in a folder."""
    return sorted(folder.glob("*/*.npy"))


def values(table):
    return table.to_numpy()


def with_memory(estimator, memory, **parameters):
    return clone(estimator).set_params(memory=memory, **parameters)
