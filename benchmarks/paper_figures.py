"""Figures 2, 3, 5 and 6 of the paper, on Stanford Background.

    python benchmarks/paper_figures.py
    python benchmarks/paper_figures.py --train-images 500 --maps --output figures

Images are drawn at random, and those that are shown are not trained on. The data comes
from the folder in SKLEARN_ZOOMOUT_DATA, or is downloaded. ZoomNet's weights come with
the library.
"""

import os
from collections import Counter
from pathlib import Path

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
from _common import LEVELS, PAPER_TRAINING, make_parser, pick
from skimage.segmentation import mark_boundaries

from sklearn_zoomout import ZoomoutClassifier, zoomout_pipeline
from sklearn_zoomout.datasets import fetch_stanford_background
from sklearn_zoomout.metrics import pixel_accuracy
from sklearn_zoomout.plotting import SegmentationDisplay, ZoomoutDisplay

# The columns of figure 5.
SUBSETS = {
    "local": LEVELS[:1],
    "local, proximal": LEVELS[:2],
    "local, proximal, global": ("local", "proximal", "global"),
    "all four levels": LEVELS,
}
CREDITS = (
    "Image credits: Stanford Background Dataset (Gould, Fulton, Koller, ICCV 2009)"
)


def parse_arguments():
    parser = make_parser(__doc__)
    parser.add_argument("--output", type=Path, default=Path("figures"))
    parser.add_argument("--train-images", type=int, default=100)
    parser.add_argument("--images", type=int, default=4, help="how many images to show")
    parser.add_argument("--backbone", default="zoomnet")
    parser.add_argument(
        "--maps", action="store_true", help="add the maps level in figure 6"
    )
    parser.add_argument("--hidden", type=int, nargs="*", default=[1024])
    parser.add_argument("--epochs", type=int, help="epochs of each training")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--n-jobs", type=int, default=os.cpu_count())
    parser.add_argument("--verbose", type=int, default=0)
    return parser.parse_args()


def split(data, n_train, n_shown, seed):
    """Draw images to train on, and others to show, of the most frequent size."""
    order = np.random.RandomState(seed).permutation(len(data.images))
    sizes = [data.images[i].shape for i in order]
    usual = Counter(sizes).most_common(1)[0][0]
    rest = [
        i
        for i, size in zip(order[n_train:], sizes[n_train:], strict=True)
        if size == usual
    ]
    if len(rest) < n_shown:
        raise SystemExit(
            f"--train-images {n_train} of {len(order)} leaves {len(rest)} images of "
            f"the usual size to show, fewer than {n_shown}."
        )
    return order[:n_train], rest[:n_shown]


def save(figure, path):
    figure.supxlabel(CREDITS, fontsize="x-small", color="0.4")
    figure.savefig(path, dpi=110)
    plt.close(figure)
    print(path, flush=True)


def draw_regions(superpixels):
    """Draw figure 2: superpixels, and the regions of the levels."""
    figure, axes = plt.subplots(
        1, len(superpixels), figsize=(4 * len(superpixels), 3.7), layout="constrained"
    )
    first, *others = superpixels
    # At twice the size the lines are thinner than a pixel.
    rgb, segments = (a.repeat(2, 0).repeat(2, 1) for a in (first.rgb, first.segments))
    axes[0].imshow(mark_boundaries(rgb, segments, color=(0, 0, 0), mode="inner"))
    axes[0].set(xticks=[], yticks=[], title=f"{first.n_segments} superpixels")
    for ax, segmented in zip(axes[1:], others, strict=True):
        ZoomoutDisplay(segmented).plot_outlines(ax)
        ax.set_title("local, proximal, distant and global regions")
    return figure


def draw_crops(superpixels):
    """Draw figure 3: three superpixels of each image, and their regions."""
    n = len(superpixels)
    figure = plt.figure(figsize=(3.6 * n, 6.6), layout="constrained")
    for part, segmented in zip(
        np.ravel(figure.subfigures(1, n, wspace=0.05)), superpixels, strict=True
    ):
        display = ZoomoutDisplay(segmented)
        grid = part.add_gridspec(4, 3, height_ratios=[2.4, 1, 1, 1])
        image = part.add_subplot(grid[0, :])
        display.plot_outlines(image)
        image.set_title("")
        for row, number in enumerate(display.superpixels, start=1):
            axes = {
                level: part.add_subplot(grid[row, column])
                for column, level in enumerate(LEVELS[:3])
            }
            display.plot_crops(axes, number)
            axes["local"].set_ylabel("ABC"[row - 1], rotation=0, labelpad=9)
            if row == 1:
                for level, ax in axes.items():
                    ax.set_title(level, fontsize="small")
    return figure


def draw_levels(images, masks, predictions, class_names):
    """Draw figure 5: the predictions of a linear model on more and more levels."""
    figure, axes = plt.subplots(
        len(images),
        2 + len(predictions),
        figsize=(2.6 * (2 + len(predictions)), 2.15 * len(images) + 0.8),
        layout="constrained",
        squeeze=False,
    )
    for column, (name, labels) in enumerate(predictions.items(), start=2):
        display = SegmentationDisplay.from_predictions(
            images,
            labels,
            masks,
            class_names=class_names,
            axes=axes[:, [0, 1, column]],
        )
        axes[0, column].set_title(name)
    add_legend(figure, display)
    return figure


def draw_examples(images, masks, predictions, class_names):
    """Draw figure 6: images, masks and predictions, one below the other."""
    figure, axes = plt.subplots(
        3,
        len(images),
        figsize=(3 * len(images), 7.6),
        layout="constrained",
        squeeze=False,
    )
    display = SegmentationDisplay.from_predictions(
        images, predictions, masks, class_names=class_names, axes=axes.T
    )
    for ax in axes[:, 0]:
        ax.set_ylabel(ax.get_title(), fontsize="large")
        ax.set_title("")
    add_legend(figure, display)
    return figure


def add_legend(figure, display):
    handles = display.legend_handles()
    figure.legend(
        handles=handles, loc="outside upper center", ncols=len(handles), frameon=False
    )


def main():
    args = parse_arguments()
    data = fetch_stanford_background()
    train, shown = split(data, args.train_images, args.images, args.seed)
    n_train = len(train)
    images, masks = (pick(a, [*train, *shown]) for a in (data.images, data.masks))
    shown_images, shown_masks = images[n_train:], masks[n_train:]
    args.output.mkdir(parents=True, exist_ok=True)

    pipeline = zoomout_pipeline(
        levels=[*LEVELS, "maps"] if args.maps else LEVELS,
        backbone=args.backbone,
        n_jobs=args.n_jobs,
        random_state=args.seed,
        verbose=args.verbose,
    )
    superpixels = pipeline["superpixels"].transform(images)
    shown_superpixels = superpixels[n_train:]
    save(draw_regions(shown_superpixels), args.output / "figure_2.png")
    save(draw_crops(shown_superpixels), args.output / "figure_3.png")

    features = pipeline["zoomout"].fit(superpixels[:n_train], masks[:n_train])
    table = features.transform(superpixels)

    def predict(table, hidden_units):
        classifier = ZoomoutClassifier(
            hidden_units,
            max_epochs=args.epochs,
            random_state=args.seed,
            **PAPER_TRAINING,
        )
        classifier.fit(table[:n_train], masks[:n_train])
        return classifier.predict(table[n_train:])

    linear = {
        name: predict(table.select(levels), ()) for name, levels in SUBSETS.items()
    }
    figure = draw_levels(shown_images, shown_masks, linear, data.class_names)
    save(figure, args.output / "figure_5.png")
    best = predict(table, args.hidden)
    figure = draw_examples(shown_images, shown_masks, best, data.class_names)
    save(figure, args.output / "figure_6.png")
    for name, labels in [*linear.items(), ("figure 6", best)]:
        right = pixel_accuracy(shown_masks, labels)
        print(f"{name:24} {100 * right:5.1f} % of the pixels shown are right")


if __name__ == "__main__":
    main()
