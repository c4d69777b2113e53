"""
Which level decides
===================

A superpixel's label comes from four zoom-out levels at once. Which of them made the
decision? ``zoom_importance`` leaves out one level at a time, by setting its features
to their means, and tells how much of the probability of the label is lost. Then
``error_budget`` tells where the accuracy is lost: to superpixels that cross borders,
to features that cannot tell classes apart, or to a classifier that has seen too
little.

Run ``python plot_zoom_importance.py picture.png`` to save the picture, or without an
argument to show it.
"""

# %%
# In the made-up scenes, moon and stone look alike from close up, and so do sand and
# snow: only a look from further away tells them apart. So the global level should
# matter for sand and snow, and for nothing else.
import sys

import matplotlib.pyplot as plt
import numpy as np

from sklearn_zoomout import zoomout_pipeline
from sklearn_zoomout.datasets import SCENE_CLASSES, make_scenes
from sklearn_zoomout.inspection import error_budget, zoom_importance

images, masks = make_scenes(24, random_state=0)
model = zoomout_pipeline(
    levels=["local", "proximal", "distant", "global"],
    n_segments=150,
    learning_rate=1e-3,
    max_epochs=15,
    random_state=0,
)
model.fit(images[:16], masks[:16])

# %%
# The importance of every level, for each class that is predicted: the mean over the
# superpixels of the held-out images.
importances = [zoom_importance(model, image) for image in images[16:]]
decision = np.concatenate([importance.decision for importance in importances])
values = np.concatenate([importance.values for importance in importances])
levels = importances[0].levels
print("probability that a level adds to the label, in points")
print("class   " + "".join(f"{level:>10}" for level in levels))
for label, name in enumerate(SCENE_CLASSES):
    means = 100 * values[decision == label].mean(axis=0)
    print(f"{name:8}" + "".join(f"{mean:10.1f}" for mean in means))

# %%
# Where the rest is lost.
print("\nheld-out images, in percent")
print(error_budget(model, images[16:], masks[16:]))

# %%
# One of the held-out scenes, a coast. The level that is left out is missed most near
# borders and where two classes look alike, least where the others say the same.
importances[0].plot(class_names=SCENE_CLASSES)
if len(sys.argv) > 1:
    plt.savefig(sys.argv[1], dpi=100)
else:
    plt.show()
