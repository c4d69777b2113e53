"""
Features of your own
====================

A zoom-out level is a transformer from superpixels to a table with a row for each
superpixel. A ``ZoomoutUnion`` puts the tables of several levels side by side. This
example adds a level that the paper does not have. It describes the part of the image
straight above a superpixel. Sand and snow look alike, but above snow is a dark forest.

Run ``python plot_own_features.py picture.png`` to save the picture. Run it without an
argument to show the picture.
"""

# %%
# A subclass of ``RegionFeatures`` has a name for its block of columns, and describes
# one image. The base class does the rest, such as checks, threads and a progress bar.
import sys

import matplotlib.pyplot as plt
import numpy as np

from sklearn_zoomout import (
    LocalFeatures,
    RegionFeatures,
    SuperpixelSegmenter,
    ZoomoutClassifier,
    ZoomoutUnion,
)
from sklearn_zoomout.checks import check_image_estimator
from sklearn_zoomout.datasets import SCENE_CLASSES, make_scenes
from sklearn_zoomout.metrics import iou_per_class, mean_iou
from sklearn_zoomout.plotting import SegmentationDisplay


class Above(RegionFeatures):
    """Describe the darkest and the lightest color straight above each superpixel."""

    block_name = "above"

    def describe(self, segmented):
        """Compute six values: both colors, averaged over the pixels of a superpixel."""
        darkest = np.minimum.accumulate(segmented.rgb, axis=0)
        lightest = np.maximum.accumulate(segmented.rgb, axis=0)
        per_pixel = np.concatenate([darkest, lightest], axis=2).reshape(-1, 6)
        labels = segmented.segments.ravel()
        sums = [np.bincount(labels, weights=values) for values in per_pixel.T]
        return (sums / segmented.areas).T

    def column_names(self):
        """Return the names of the six columns."""
        colors = ("red", "green", "blue")
        return [f"{which}_{c}" for which in ("darkest", "lightest") for c in colors]


print(check_image_estimator(Above()))  # does it work wherever scikit-learn takes it?

# %%
# A union computes it together with a level of the paper, here a small one. The table of
# all features is computed once. ``select`` returns the table of some of the levels.
images, masks = make_scenes(36, random_state=0)
local = LocalFeatures(descriptors=("color", "location"))
union = ZoomoutUnion([("local", local), ("above", Above())])
superpixels = SuperpixelSegmenter(n_segments=150).fit_transform(images)
table = union.fit(superpixels[:24]).transform(superpixels)
print("columns added:", *table.columns[-6:])

predictions = {}
for name, levels in (("without", ["local"]), ("with", ["local", "above"])):
    chosen = table.select(levels)
    classifier = ZoomoutClassifier(learning_rate=1e-3, max_epochs=20, random_state=0)
    classifier.fit(chosen[:24], masks[:24])
    predictions[name] = classifier.predict(chosen[24:])
    score = mean_iou(masks[24:], predictions[name])
    print(f"{name:7} them: {chosen.n_columns} columns, mean IoU {100 * score:.1f}")

print("\nIoU, %  without  with")
ious = [iou_per_class(masks[24:], predictions[name]) for name in predictions]
for name, before, after in zip(SCENE_CLASSES, *ious, strict=True):
    print(f"{name:7} {100 * before:7.1f} {100 * after:5.1f}")

# %%
# Four held-out images, with both predictions.
figure, axes = plt.subplots(4, 4, figsize=(10, 8.4), layout="constrained")
for column, name in ((2, "without"), (3, "with")):
    display = SegmentationDisplay.from_predictions(
        images[24:28],
        predictions[name][:4],
        masks[24:28],
        class_names=SCENE_CLASSES,
        axes=axes[:, [0, 1, column]],
    )
    axes[0, column].set_title(f"{name} the own level")
figure.legend(
    handles=display.legend_handles(), loc="outside lower center", ncols=7, frameon=False
)
if len(sys.argv) > 1:
    plt.savefig(sys.argv[1], dpi=100)
else:
    plt.show()
