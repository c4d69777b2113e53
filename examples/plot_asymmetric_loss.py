"""
The asymmetric loss, and what it costs
======================================

Most superpixels belong to a few common classes. A classifier that minimizes the plain
log-loss may neglect the rare classes. Equation (2) of the paper divides the loss of a
superpixel by the frequency of its class (``class_weight="balanced"``, the default).

In this example only every fifth image shows a coast, and a linear classifier is trained
on colors and positions alone. It easily confuses rare sand with common snow, and rare
water with common sky. Both losses are compared, class by class.

Run ``python plot_asymmetric_loss.py picture.png`` to save the picture. Run it without
an argument to show the picture.
"""

# %%
# The made-up scenes with even numbers are coasts. One in four of them is kept.
import sys

import matplotlib.pyplot as plt
import numpy as np

from sklearn_zoomout import LocalFeatures, SuperpixelSegmenter, ZoomoutClassifier
from sklearn_zoomout.datasets import SCENE_CLASSES, make_scenes
from sklearn_zoomout.metrics import (
    class_accuracy,
    iou_per_class,
    mean_iou,
    pixel_accuracy,
    recall_per_class,
)

images, masks = make_scenes(100, random_state=0)
kept = [i for i in range(100) if i % 2 == 1 or i % 8 == 0]
images, masks = [images[i] for i in kept], [masks[i] for i in kept]
n_train = 36
test_masks = masks[n_train:]

# %%
# The features are the same for both losses, so they are computed once.
superpixels = SuperpixelSegmenter(n_segments=150).fit_transform(images)
features = LocalFeatures(descriptors=("color", "location")).fit(superpixels[:n_train])
table = features.transform(superpixels)

recall, iou = {}, {}
for name, class_weight in (("symmetric", None), ("asymmetric", "balanced")):
    classifier = ZoomoutClassifier(
        hidden_units=(),
        class_weight=class_weight,
        learning_rate=1e-3,
        max_epochs=20,
        random_state=0,
    )
    classifier.fit(table[:n_train], masks[:n_train])
    predictions = classifier.predict(table[n_train:])
    recall[name] = recall_per_class(test_masks, predictions)
    print(f"{name} loss, {len(test_masks)} held-out images, in percent")
    print(f"  pixel accuracy {100 * pixel_accuracy(test_masks, predictions):5.1f}")
    print(f"  class accuracy {100 * class_accuracy(test_masks, predictions):5.1f}")
    print(f"  mean IoU       {100 * mean_iou(test_masks, predictions):5.1f}")
    iou[name] = iou_per_class(test_masks, predictions)

# %%
# Recall is the share of the pixels of a class that are found. The recall of the rare
# classes rises, and that of the similar common classes falls. IoU also counts pixels
# that are wrongly labeled with the class, so that it rises less.
frequency = classifier.class_frequency_
order = np.argsort(frequency)
print("\n        share of  recall          IoU")
print("class   training   sym. -> asym.   sym. -> asym.")
for k in order:
    cells = [
        f"{100 * measure['symmetric'][k]:5.1f} -> {100 * measure['asymmetric'][k]:5.1f}"
        for measure in (recall, iou)
    ]
    print(f"{SCENE_CLASSES[k]:7} {frequency[k]:8.1%}   {'  '.join(cells)}")

figure, ax = plt.subplots(figsize=(7.5, 3.6), layout="constrained")
for shift, (name, values) in zip((-0.2, 0.2), recall.items(), strict=True):
    bars = ax.bar(np.arange(7) + shift, 100 * values[order], 0.38, label=f"{name} loss")
    ax.bar_label(bars, fmt="%.0f", fontsize="small")
names = [f"{SCENE_CLASSES[k]}\n{frequency[k]:.1%}" for k in order]
ax.set_xticks(np.arange(7), names)
ax.set(ylabel="recall, %", ylim=(0, 118), xlabel="class, and its share in training")
ax.legend(loc="upper left", ncols=2, frameon=False)
ax.spines[["top", "right"]].set_visible(False)
if len(sys.argv) > 1:
    plt.savefig(sys.argv[1], dpi=100)
else:
    plt.show()
