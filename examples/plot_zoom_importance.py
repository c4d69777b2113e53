"""
Which level decides
===================

The label of a superpixel depends on all zoom-out levels. ``zoom_importance`` measures
how much each of them contributes. It leaves out one level at a time, by setting its
features to their means, and computes by how much the probability of the label falls.
Then ``error_budget`` divides the errors among superpixels that cross boundaries,
features that do not separate the classes, and a classifier that had too few training
images.

Run ``python plot_zoom_importance.py picture.png`` to save the picture. Run it without
an argument to show the picture.
"""

# %%
# In small regions of the made-up scenes, moon and stone look alike, and so do sand and
# snow. Only larger regions separate them. The global level should therefore be
# important for sand and snow, and not for other classes.
import sys

import matplotlib.pyplot as plt
import numpy as np

from sklearn_zoomout import Backbone, zoomout_pipeline
from sklearn_zoomout.datasets import SCENE_CLASSES, make_scenes
from sklearn_zoomout.inspection import (
    ZoomImportanceDisplay,
    error_budget,
    zoom_importance,
)

images, masks = make_scenes(24, random_state=0)
model = zoomout_pipeline(
    levels=["local", "proximal", "distant", "global"],
    backbone=Backbone("zoomnet"),
    n_segments=150,
    learning_rate=1e-3,
    max_epochs=15,
    random_state=0,
)
model.fit(images[:16], masks[:16])

# %%
# The importance of every level for each predicted class is the mean over the
# superpixels of the held-out images.
importances = [zoom_importance(model, image) for image in images[16:]]
decision = np.concatenate([importance.decision for importance in importances])
values = np.concatenate([importance.values for importance in importances])
levels = importances[0].levels
print("loss of the label's probability without a level, in percentage points")
print("class   " + "".join(f"{level:>10}" for level in levels))
for label, name in enumerate(SCENE_CLASSES):
    means = 100 * values[decision == label].mean(axis=0)
    print(f"{name:8}" + "".join(f"{mean:10.1f}" for mean in means))

# %%
# The causes of the errors.
print("\nheld-out images, in percent")
print(error_budget(model, images[16:], masks[16:]))

# %%
# One of the held-out scenes, a coast. A level is most important near boundaries and
# where two classes look alike. It is least important where the other levels agree.
ZoomImportanceDisplay(importances[0], class_names=SCENE_CLASSES).plot()
if len(sys.argv) > 1:
    plt.savefig(sys.argv[1], dpi=100)
else:
    plt.show()
