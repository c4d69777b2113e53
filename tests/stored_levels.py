"""Levels that are computed at once, for the tests of tables in files."""

import numpy as np
from sklearn.pipeline import FeatureUnion, Pipeline

from sklearn_zoomout import LocalFeatures, RegionFeatures, SuperpixelSegmenter


class Size(RegionFeatures):
    """Two columns per image: its height and width, times a factor."""

    block_name = "size"
    per_image = True

    def __init__(self, factor=1.0):
        self.factor = factor

    def describe(self, segmented):
        return self.factor * np.array(segmented.shape)

    def column_names(self):
        return ["height", "width"]


class FailsAt(Size):
    """The same, but it stops at the images of a width, as a kill would."""

    def __init__(self, factor=1.0):
        super().__init__(factor)

    width = None

    def describe(self, segmented):
        if segmented.shape[1] == FailsAt.width:
            raise KeyboardInterrupt
        return super().describe(segmented)


def make_features(n_segments=30, level=None):
    """Make a pipeline of superpixels and two levels. The level "size" is per image."""
    return Pipeline(
        [
            ("superpixels", SuperpixelSegmenter(n_segments)),
            (
                "levels",
                FeatureUnion(
                    [
                        ("local", LocalFeatures(("color", "location"))),
                        ("size", Size() if level is None else level),
                    ]
                ),
            ),
        ]
    )
