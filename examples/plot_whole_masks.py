"""
From whole masks
================

Train a pipeline on two dozen annotated images, and label every pixel of images that
were held out.

The images are made-up landscapes. In small regions, pairs of classes look alike: moon
and stone, sky and water, sand and snow. Each zoom-out level helps to tell some of them
apart. ``plot_zoomout_levels.py`` draws the regions of the levels.

Run ``python plot_whole_masks.py picture.png`` to save the picture. Run it without an
argument to show the picture.
"""

# %%
# Images and masks are lists of arrays. The sizes of the images may differ. Masks are
# integer label maps in which unlabeled pixels are -1.
import sys

import matplotlib.pyplot as plt

from sklearn_zoomout import Backbone, zoomout_pipeline
from sklearn_zoomout.datasets import SCENE_CLASSES, make_scenes
from sklearn_zoomout.metrics import (
    class_accuracy,
    mean_iou,
    pixel_accuracy,
    segmentation_report,
)
from sklearn_zoomout.plotting import SegmentationDisplay

images, masks = make_scenes(36, size=None, unlabeled_width=1, random_state=0)
train_images, train_masks = images[:24], masks[:24]
test_images, test_masks = images[24:], masks[24:]

# %%
# The pipeline has the four levels of the paper. The distant and the global level use
# ZoomNet, a small network that comes with the library. The defaults suit hundreds of
# photographs. For two dozen small scenes, fewer but larger training steps and an
# ``input_size`` of 320 pixels are enough.
model = zoomout_pipeline(
    levels=["local", "proximal", "distant", "global"],
    backbone=Backbone("zoomnet"),
    input_size=320,
    n_segments=150,
    hidden_units=(64,),
    learning_rate=1e-3,
    max_epochs=20,
    random_state=0,
)
model.fit(train_images, train_masks)

# %%
# The levels, and where their columns come from.
union = model["zoomout"]
print("level     columns  computed by")
for name, level in union.transformer_list:
    how = union.backbone.name if hasattr(level, "backbone") else "hand-crafted"
    print(f"{name:8}  {level.n_features_out_:7}  {how}")

# %%
# Predictions are label maps of the sizes of the images. The measures ignore unlabeled
# pixels.
predictions = model.predict(test_images)
print(f"\n{len(test_images)} held-out images, in percent")
print(f"pixel accuracy  {100 * pixel_accuracy(test_masks, predictions):.1f}")
print(f"class accuracy  {100 * class_accuracy(test_masks, predictions):.1f}")
print(f"mean IoU        {100 * mean_iou(test_masks, predictions):.1f}\n")
print(segmentation_report(test_masks, predictions, class_names=SCENE_CLASSES))

SegmentationDisplay.from_predictions(
    test_images[:4], predictions[:4], test_masks[:4], class_names=SCENE_CLASSES
)
if len(sys.argv) > 1:
    plt.savefig(sys.argv[1], dpi=100)
else:
    plt.show()
