"""
From scribbles
==============

Draw a few strokes on each of four photographs, and label all their pixels.

The photographs come with scikit-image and scikit-learn, the scribbles with this
library. 2 to 3 % of the pixels have a label, and the pipeline labels the rest. Its
accuracy is measured on other strokes, which it is not trained on. They are at least 10
pixels away from every scribble, and many are at boundaries and on small things.

Run ``python plot_scribbles.py picture.png`` to save the picture. Run it without an
argument to show the picture.
"""

# %%
# A scribbled mask is a label map like any other. Pixels without a stroke are -1.
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
# The pipeline is trained on all photographs together, so that scribbles on the sky of
# one help to label the sky of another. All parameters have their defaults. The
# default network comes with the library.
model = zoomout_pipeline(random_state=0)
model.fit(data.images, data.scribbles)
predictions = model.predict(data.images)

# %%
# The accuracy on the check strokes.
print("\nright on the check strokes, in percent")
for name, checks, labels in zip(data.filenames, data.checks, predictions, strict=True):
    print(f"{name:14} {100 * pixel_accuracy([checks], [labels]):5.1f}")
print(f"{'all':14} {100 * pixel_accuracy(data.checks, predictions):5.1f}\n")
print(segmentation_report(data.checks, predictions, class_names=data.class_names))

# %%
# The scribbles, and the labels of all pixels.
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
