"""
From whole masks
================

Learn to label every pixel from two dozen annotated images, and look at the result on
images that were held out.

The images are made-up landscapes in which pairs of classes look alike from close up:
moon and stone, sky and water, sand and snow. So each zoom-out level has something to
add; ``plot_zoomout_levels.py`` draws what they see.

Run ``python plot_whole_masks.py picture.png`` to save the picture, or without an
argument to show it.
"""

# %%
# Images and masks are lists of arrays. Images may have any size, each its own, and
# masks are integer label maps in which -1 means unlabeled.
import sys

import matplotlib.pyplot as plt

from sklearn_zoomout import zoomout_pipeline
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
# The four levels of the paper. The defaults of the classifier suit hundreds of
# photographs; two dozen small scenes are learned in fewer, larger steps, and looking at
# them at 320 pixels is enough.
model = zoomout_pipeline(
    levels=["local", "proximal", "distant", "global"],
    input_size=320,
    n_segments=150,
    hidden_units=(64,),
    learning_rate=1e-3,
    max_epochs=20,
    random_state=0,
)
model.fit(train_images, train_masks)

# %%
# Which levels ran? The distant and global ones see the image through ZoomNet, a small
# network that comes with the library.
print("level     columns  made by")
for name, level in model["zoomout"].transformer_list:
    how = getattr(level, "backbone", "hand-crafted")
    print(f"{name:8}  {level.n_features_out_:7}  {how}")

# %%
# Predictions are label maps of the sizes of the images. Unlabeled pixels count in
# none of the measures.
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
