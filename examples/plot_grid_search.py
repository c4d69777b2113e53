"""
Search over the number of hidden units
======================================

The pipeline is one scikit-learn estimator, so that ``GridSearchCV`` can search over any
of its parameters. Here it searches over one of them, the hidden units of the
classifier. The network of all convnet levels is one parameter too,
``zoomout__backbone``.

The samples are images. A fold never splits an image, and everything that is learned
from data is learned again from the training images of each fold.

Run ``python plot_grid_search.py picture.png`` to save the picture. Run it without an
argument to show the picture.
"""

# %%
# ``memory`` keeps the features of the training images of a fold. All candidates use
# them, since they differ in the classifier only.
import sys
import tempfile

import matplotlib.pyplot as plt
import numpy as np
from sklearn.model_selection import GridSearchCV

from sklearn_zoomout import zoomout_pipeline
from sklearn_zoomout.datasets import make_scenes
from sklearn_zoomout.metrics import (
    class_accuracy_scorer,
    mean_iou_scorer,
    pixel_accuracy_scorer,
)

images, masks = make_scenes(24, random_state=0)
model = zoomout_pipeline(
    levels=["local", "proximal"],
    n_segments=150,
    learning_rate=1e-3,
    max_epochs=20,
    random_state=0,
)
# Colors and positions alone take a fraction of the time of all descriptors.
quick = ("color", "location")
for level in ("local", "proximal"):
    model.set_params(**{f"zoomout__{level}__descriptors": quick})
grid = {"classifier__hidden_units": [(), (16,), (128,)]}
scoring = {
    "mean IoU": mean_iou_scorer,
    "pixel accuracy": pixel_accuracy_scorer,
    "class accuracy": class_accuracy_scorer,
}
with tempfile.TemporaryDirectory() as folder:
    model.set_params(memory=folder)
    search = GridSearchCV(model, grid, scoring=scoring, refit="mean IoU", cv=3)
    search.fit(images, masks)

# %%
# All scores are means over three folds of eight held-out images. With so few images,
# the standard deviation between the folds is as important as the mean.
results = search.cv_results_
candidates = results["param_classifier__hidden_units"]
print("hidden units  " + "  ".join(f"{name:>16}" for name in scoring))
for i, units in enumerate(candidates):
    cells = (
        f"{100 * results[f'mean_test_{name}'][i]:8.1f} +- "
        f"{100 * results[f'std_test_{name}'][i]:4.1f}"
        for name in scoring
    )
    print(f"{str(units):12}  {'  '.join(cells)}")
print(f"best by mean IoU: {search.best_params_}")

# %%
# Each gray line is a fold, and the blue bars are the means. The folds differ about as
# much as the candidates. Compare the candidates along the lines.
figure, axes = plt.subplots(1, 3, figsize=(9, 3.6), sharey=True, layout="constrained")
positions = np.arange(len(candidates))
for ax, name in zip(axes, scoring, strict=True):
    folds = [100 * results[f"split{k}_test_{name}"] for k in range(search.n_splits_)]
    for fold in folds:
        ax.plot(positions, fold, "o-", color="0.7", markersize=5)
    mean = np.mean(folds, axis=0)
    ax.hlines(mean, positions - 0.2, positions + 0.2, color="C0", lw=3, zorder=3)
    ax.set(
        title=f"{name}, %", xlabel="hidden units", xlim=(-0.6, len(candidates) - 0.4)
    )
    ax.set_xticks(
        positions, [str(units[0]) if units else "none" for units in candidates]
    )
    ax.spines[["top", "right"]].set_visible(False)

if len(sys.argv) > 1:
    plt.savefig(sys.argv[1], dpi=100)
else:
    plt.show()
