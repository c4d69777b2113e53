"""
The regions of the zoom-out levels
==================================

A superpixel is described four times, each time with a larger region: by itself (local),
with its neighbors up to two steps away on the superpixel graph (proximal), by the
bounding box of its neighbors up to three steps away (distant), and by the whole image
(global). This example draws the regions as figures 2 and 3 of the paper do. It draws
them for three superpixels whose classes are hard to tell from the superpixel alone.

Run ``python plot_zoomout_levels.py picture.png`` to save the picture. Run it without an
argument to show the picture.
"""

# %%
# A winter scene. Its moon and its stones have the same gray, and its snow looks like
# the sand of a beach.
import sys

import matplotlib.pyplot as plt
import numpy as np

from sklearn_zoomout import SuperpixelSegmenter
from sklearn_zoomout.datasets import SCENE_CLASSES, make_scenes
from sklearn_zoomout.plotting import ZoomoutDisplay

images, masks = make_scenes(2, size=(240, 320), random_state=5)
image, mask = images[1], masks[1]
segmented = SuperpixelSegmenter(n_segments=350).fit_transform([image])[0]

# %%
# The superpixels in the middle of the moon, of a stone and of the snow.
superpixels = []
for name in ("moon", "stone", "snow"):
    where = np.argwhere(mask == SCENE_CLASSES.index(name))
    # The pixel of the class that is nearest to the median of the first half of them.
    middle = np.median(where[: len(where) // 2], axis=0)
    row, column = where[np.abs(where - middle).sum(axis=1).argmin()]
    superpixels.append(segmented.segments[row, column])

# %%
# The areas of the regions, of the three superpixels and on average over all.
top, left, bottom, right = segmented.region_boxes(radius=3).T
areas = {
    "local": segmented.areas,
    "proximal": segmented.region_areas(radius=2),
    "distant": (bottom - top) * (right - left),
    "global": np.full(segmented.n_segments, mask.size),
}
print(f"{segmented.n_segments} superpixels; pixels in the region of each level")
print("A is in the moon, B in a stone, C in the snow")
print("level          A      B      C  mean of all  share of the image")
for level, area in areas.items():
    chosen = "  ".join(f"{area[number]:5}" for number in superpixels)
    share = area.mean() / mask.size
    print(f"{level:8}   {chosen}  {area.mean():11.0f}  {share:18.1%}")

ZoomoutDisplay(segmented, superpixels).plot()
if len(sys.argv) > 1:
    plt.savefig(sys.argv[1], dpi=100)
else:
    plt.show()
