"""
Features of your own
====================

A zoom-out level is a transformer from superpixels to a table with a row for each
superpixel. Any number of them stand side by side in a ``FeatureUnion``. This example
adds one that the paper does not have: what lies straight above and below a
superpixel, as far as the image goes. Sand and snow look alike, but above sand there
is water and above snow a forest.

Run ``python plot_own_features.py picture.png`` to save the picture, or without an
argument to show it.
"""

# %%
# A subclass of ``RegionFeatures`` names its block of columns and describes one image.
# The base class does the rest: checks, progress, threads, and names of the columns.
import sys

import matplotlib.pyplot as plt
import numpy as np
from sklearn.pipeline import FeatureUnion

from sklearn_zoomout import (
    LocalFeatures,
    RegionFeatures,
    SuperpixelSegmenter,
    ZoomoutClassifier,
)
from sklearn_zoomout.datasets import SCENE_CLASSES, make_scenes
from sklearn_zoomout.metrics import iou_per_class, mean_iou
from sklearn_zoomout.plotting import SegmentationDisplay


class AboveAndBelow(RegionFeatures):
    """Mean color of the pixels above, and of those below, in the same columns."""

    block_name = "vertical"

    def describe(self, segmented):
        """Return the six means, averaged over the pixels of each superpixel."""
        rgb = segmented.rgb
        count = np.arange(1, len(rgb) + 1)[:, None, None]
        above = np.cumsum(rgb, axis=0) / count
        below = np.cumsum(rgb[::-1], axis=0)[::-1] / count[::-1]
        per_pixel = np.concatenate([above, below], axis=2).reshape(-1, 6)
        labels = segmented.segments.ravel()
        sums = [np.bincount(labels, weights=values) for values in per_pixel.T]
        return (sums / segmented.areas).T

    def column_names(self):
        """Return the names of the six columns."""
        return [
            f"{c}_{w}" for w in ("above", "below") for c in ("red", "green", "blue")
        ]


# %%
# It stands in a union beside a level of the paper, here a small one. The table of
# all features is made once; ``select`` gives a view on some of its blocks.
images, masks = make_scenes(36, random_state=0)
union = FeatureUnion(
    [
        ("local", LocalFeatures(blocks=("color", "location"))),
        ("vertical", AboveAndBelow()),
    ]
)
superpixels = SuperpixelSegmenter(n_segments=150).fit_transform(images)
table = union.fit(superpixels[:24]).transform(superpixels)
print("columns added:", *table.select(["vertical"]).columns)

predictions = {}
for name, blocks in (("without", ["local"]), ("with", ["local", "vertical"])):
    chosen = table.select(blocks)
    classifier = ZoomoutClassifier(max_epochs=20, random_state=0)
    classifier.fit(chosen[:24], masks[:24])
    predictions[name] = classifier.predict(chosen[24:])
    score = mean_iou(masks[24:], predictions[name])
    print(f"{name:7} them: {chosen.n_columns} columns, mean IoU {100 * score:.1f}")

print("\nIoU, %  without  with")
ious = [iou_per_class(masks[24:], predictions[name]) for name in predictions]
for name, before, after in zip(SCENE_CLASSES, *ious, strict=True):
    print(f"{name:7} {100 * before:7.1f} {100 * after:5.1f}")

# %%
# The first four held-out images, with both predictions.
figure, axes = plt.subplots(4, 4, figsize=(10, 8.4), layout="constrained")
shown = images[24:28]
first = SegmentationDisplay.from_predictions(
    shown,
    predictions["without"][:4],
    masks[24:28],
    class_names=SCENE_CLASSES,
    axes=axes[:, :3],
)
SegmentationDisplay.from_predictions(
    shown, predictions["with"][:4], class_names=SCENE_CLASSES, axes=axes[:, [0, 3]]
)
axes[0, 2].set_title("without own features")
axes[0, 3].set_title("with own features")
figure.legend(
    handles=first.legend_handles(), loc="outside lower center", ncols=7, frameon=False
)
if len(sys.argv) > 1:
    plt.savefig(sys.argv[1], dpi=100)
else:
    plt.show()
