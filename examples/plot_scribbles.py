"""
From scribbles
==============

Label every pixel of four photographs after drawing a few strokes on each.

The photographs come with scikit-image and scikit-learn, the scribbles with this
library. 2 to 3 % of the pixels have a label; the pipeline labels the rest. Other
strokes, which it never saw, tell how often it is right: they lie at least 10 pixels
from every scribble, many of them at boundaries and on small things.

Run ``python plot_scribbles.py picture.png`` to save the picture, or without an
argument to show it.
"""

# %%
# A scribbled mask is a label map like any other, with -1 wherever there is no stroke.
import sys

import matplotlib.pyplot as plt
import numpy as np

from sklearn_zoomout import zoomout_pipeline
from sklearn_zoomout.datasets import load_scribbled_photographs
from sklearn_zoomout.metrics import pixel_accuracy, segmentation_report
from sklearn_zoomout.plotting import SegmentationDisplay

data = load_scribbled_photographs()
print("photograph     height  width  scribbled")
for name, mask in zip(data.filenames, data.scribbles, strict=True):
    print(f"{name:14} {mask.shape[0]:6} {mask.shape[1]:6}  {np.mean(mask != -1):8.1%}")

# %%
# All photographs are learned from together, so that the sky of one teaches the sky of
# another. They have almost four times the pixels of Stanford Background's images, for
# which the defaults were chosen: 2,000 superpixels are of about the same size as there,
# and the network shall see small things at one and a half times their size as well.
model = zoomout_pipeline(n_segments=2000, input_size=960, random_state=0)
model.fit(data.images, data.scribbles)
predictions = model.predict(data.images)

# %%
# Accuracy on the strokes that were kept aside.
print("\nright on the check strokes, in percent")
for name, checks, labels in zip(data.filenames, data.checks, predictions, strict=True):
    print(f"{name:14} {100 * pixel_accuracy([checks], [labels]):5.1f}")
print(f"{'all':14} {100 * pixel_accuracy(data.checks, predictions):5.1f}\n")
print(segmentation_report(data.checks, predictions, class_names=data.class_names))

# %%
# The picture: the scribbles, and the labels for the rest.
display = SegmentationDisplay(
    data.images, predictions, data.scribbles, class_names=data.class_names
).plot()
for ax, title in zip(
    display.axes_[0], ("photograph", "scribbles", "labels"), strict=True
):
    ax.set_title(title)
for ax, checks, labels in zip(
    display.axes_[:, 2], data.checks, predictions, strict=True
):
    right = pixel_accuracy([checks], [labels])
    ax.set_xlabel(f"{right:.0%} of the check pixels right", fontsize="small")
if len(sys.argv) > 1:
    plt.savefig(sys.argv[1], dpi=70)
else:
    plt.show()
