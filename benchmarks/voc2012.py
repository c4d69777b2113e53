"""PASCAL VOC 2012: Tables 1 and 2 of the paper.

Trains on the list train.txt and measures on val.txt, whatever images these hold; the
paper adds SBD's annotations to train.txt (--annotations augmented). Superpixels and
features are computed once; the dictionaries of textons and visual words are fitted on
the training images. Measures are taken over all labeled pixels of val.txt.

    python benchmarks/voc2012.py
    python benchmarks/voc2012.py --images 16 --tables 1
    python benchmarks/voc2012.py --tables 2 --backbone zoomnet squeezenet1_0 --maps

Table 1 is a linear classifier on every subset of the levels, of the first --backbone;
the paper calls its figures "mean class accuracy", and gives the last of them, 52.4,
again as mean IoU in Table 2. Table 2 is networks of different size on all four levels
of every --backbone. Table 3, which is not in the paper and not printed by default, is
the preset "fast" with the first --backbone as it was, fine-tuned, and both.

    python benchmarks/voc2012.py --tables 3

The features of an image take 7 MB with ZoomNet, which makes 20 GB for the official
lists and 84 GB for the augmented one.

The data comes from the folder in SKLEARN_ZOOMOUT_DATA, or --root. ZoomNet's weights
come with the library; those of other backbones from the folder in
SKLEARN_ZOOMOUT_WEIGHTS, or are downloaded.
"""

import argparse

import numpy as np
from _common import (
    LEVELS,
    SUBSETS,
    Stopwatch,
    add_options,
    ceiling,
    choose_levels,
    describe_convnets,
    describe_crafted,
    describe_fine_tuned,
    draw_images,
    make_classifier,
    measure,
    print_cost,
    print_header,
    print_row,
    print_setup,
    segment,
    train_and_predict,
)

from sklearn_zoomout import Superpixels
from sklearn_zoomout.datasets import load_voc2012, write_voc_submission
from sklearn_zoomout.metrics import segmentation_report

OFFICIAL = {
    "voc": {"train": 1464, "val": 1449},
    "augmented": {"train": 10582, "val": 1449},
}
MAPS = [("distant", "global", "maps"), (*LEVELS, "maps")]
# Mean IoU in percent.
TABLE_1 = {
    ("local",): 14.6,
    ("proximal",): 15.5,
    ("local", "proximal"): 17.7,
    ("local", "distant"): 37.4,
    ("local", "global"): 41.8,
    ("local", "proximal", "global"): 43.4,
    ("distant", "global"): 47.0,
    LEVELS: 52.4,
}
TABLE_1_SYMMETRIC = 20.4
# With CNN-S and with VGG-16, by hidden units and dropout, whose rate the paper does
# not tell; 0.5 is the library's.
TABLE_2 = {
    ((), 0.0): (52.4, None),
    ((256,), 0.0): (57.9, 62.3),
    ((512,), 0.0): (59.1, 63.0),
    ((1024,), 0.0): (None, 63.5),
    ((256, 256), 0.0): (56.4, None),
    ((256, 256), 0.5): (57.0, None),
}
# Not in the paper: the network of the library's preset "fast", with weights of the
# classes between those of both losses too, as ZoomoutClassifier(class_weight=0.5), and
# a wider one.
OURS = [((512,), 0.5, weight) for weight in ("balanced", 0.5, None)]
OURS.append(((1024,), 0.5, "balanced"))
CEILING = 94.4


def parse_arguments():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--root", help="the folder that holds VOCdevkit")
    parser.add_argument("--annotations", choices=list(OFFICIAL), default="voc")
    parser.add_argument("--sbd-root", help="the folder that holds benchmark_RELEASE")
    parser.add_argument(
        "--images", type=int, help="use N images of each list, drawn at random"
    )
    parser.add_argument(
        "--tables", type=int, nargs="+", choices=[1, 2, 3], default=[1, 2]
    )
    parser.add_argument("--tuning-steps", type=int, help="of the backbone of Table 3")
    parser.add_argument(
        "--submission",
        metavar="FILE",
        help="write the predictions of the model with the best mean IoU as .tgz",
    )
    add_options(parser)
    args = parser.parse_args()
    if 3 in args.tables and args.maps is None:
        if args.tables != [3]:
            parser.error("--tables 3 beside others needs --maps")
        args.maps = []
    if args.submission and args.images:
        parser.error("--submission needs all images of val.txt, without --images")
    if args.submission and not args.submission.endswith((".tgz", ".tar.gz")):
        parser.error("--submission takes a name in .tgz or .tar.gz")
    return args


class Validation:
    """Train on one list and measure on the other, and keep the best predictions."""

    classes = {"labels": range(21), "void_label": 255}

    def __init__(self, args, masks, n_train, stopwatch):
        self.args = args
        self.masks = masks
        self.truth = masks[n_train:]
        self.split = np.split(np.arange(len(masks)), [n_train])
        self.stopwatch = stopwatch
        self.best_iou = -1.0

    def print_row(self, title, name, table, paper, hidden, **options):
        """Print what a network scores beside the paper's figures."""
        model = make_classifier(
            self.args, hidden, classes=range(21), void_label=255, **options
        )
        predictions = train_and_predict(
            model, table, self.masks, self.split, self.stopwatch, title
        )
        scores = measure(self.truth, predictions, **self.classes)
        print_row(name, [*scores, *paper])
        if scores[-1] > self.best_iou:
            self.best_iou, self.best_name = scores[-1], f"{title}: {name}"
            self.best = [labels.astype(np.uint8) for labels in predictions]

    def print_ceiling(self, superpixels):
        """Print what the majority label of every superpixel scores."""
        labels = ceiling(
            self.truth, superpixels[self.split[1]], classes=range(21), void_label=255
        )
        print_row(
            f"ceiling of the superpixels (paper: {CEILING} pixel accuracy)",
            measure(self.truth, labels, **self.classes),
        )


def load(args):
    """Load both lists, and say how they differ from the official ones."""
    options = {"annotations": args.annotations, "sbd_root": args.sbd_root}
    train = load_voc2012(args.root, "train", **options)
    val = load_voc2012(args.root, "val")
    sizes = {"train": len(train.ids), "val": len(val.ids)}
    for split, size in sizes.items():
        print(f"{split}: {size:,} images")
    if sizes != OFFICIAL[args.annotations]:
        official = " and ".join(f"{n:,}" for n in OFFICIAL[args.annotations].values())
        print(f"these are not the official lists, which have {official} images")
    print("the paper's figures: trained on 10,582 images, measured on 1,449")
    both = set(train.ids) & set(val.ids)
    if both:
        raise SystemExit(f"{len(both)} images are in both lists, as {min(both)}.")
    for data in (train, val):
        chosen = draw_images(args, len(data.ids))
        data.images, data.masks = data.images[chosen], list(data.masks[chosen])
    return train, val


def print_table_1(validation, crafted, convnets):
    """Linear classifiers of all subsets of the levels."""
    backbone, convnet = next(iter(convnets.items()))
    table = np.concatenate([crafted, convnet], axis=1)
    rows = [("+".join(levels), levels, TABLE_1.get(levels), {}) for levels in SUBSETS]
    symmetric = {"class_weight": None}
    rows.append(("all, symmetric loss", LEVELS, TABLE_1_SYMMETRIC, symmetric))
    if validation.args.maps is not None:
        rows += [("+".join(levels), levels, None, {}) for levels in MAPS]
    title = f"Table 1, {backbone}"
    print(f"\n{title}; the last column is the paper's, with CNN-S")
    print_header("paper")
    for name, levels, paper, options in rows:
        chosen = table.select(levels)
        validation.print_row(title, name, chosen, [paper], (), **options)


def print_table_2(validation, crafted, convnets):
    """Networks of different size on all levels."""
    for levels, table in choose_levels(validation.args, crafted, convnets).items():
        title = f"Table 2, {levels}"
        print(f"\n{title} ({table.n_columns} columns); then the paper's IoU")
        print_header("CNN-S", "VGG-16")
        rows = {}
        if table.block_names == list(LEVELS):
            rows = {(*network, "balanced"): iou for network, iou in TABLE_2.items()}
        rows |= dict.fromkeys(OURS, ())
        print_networks(validation, title, table, rows)


def print_table_3(validation, superpixels, convnets):
    """Ours, with the backbone as it was, trained on train.txt, and both."""
    args, stopwatch = validation.args, validation.stopwatch
    backbone, frozen = next(iter(convnets.items()))
    train = validation.split[0]
    tuned = describe_fine_tuned(
        args, backbone, superpixels, validation.masks, train, stopwatch, void_label=255
    )
    tables = {"as it was": frozen, "fine-tuned": tuned}
    tables["as it was and fine-tuned"] = np.concatenate([frozen, tuned], axis=1)
    for name, table in tables.items():
        title = f"Table 3, distant + global + maps, {backbone} {name}"
        print(f"\n{title}")
        print_header()
        print_networks(validation, title, table, dict.fromkeys(OURS[:3], ()))


def print_networks(validation, title, table, rows):
    """Print a row for each (hidden units, dropout, class weight), and the paper's."""
    for (hidden, dropout, weight), paper in rows.items():
        name = "+".join(map(str, hidden)) or "linear"
        name += f", dropout {dropout}" if dropout else ""
        name += "" if weight == "balanced" else f", class_weight={weight}"
        options = {"dropout": dropout, "class_weight": weight}
        validation.print_row(title, name, table, paper, hidden, **options)


def main():
    args = parse_arguments()
    print_setup(args)
    train, val = load(args)
    n_train = len(train.masks)
    stopwatch = Stopwatch()
    superpixels = Superpixels(
        segmented
        for data in (train, val)
        for segmented in segment(args, data.images, stopwatch)
    )
    validation = Validation(args, train.masks + val.masks, n_train, stopwatch)
    convnets = describe_convnets(args, superpixels, stopwatch)
    crafted = None
    if {1, 2} & set(args.tables):
        crafted = describe_crafted(args, superpixels, np.arange(n_train), stopwatch)
    print(f"\n{len(val.masks)} images of val, {superpixels}")
    print_header()
    validation.print_ceiling(superpixels)
    if 1 in args.tables:
        print_table_1(validation, crafted, convnets)
    if 2 in args.tables:
        print_table_2(validation, crafted, convnets)
    if 3 in args.tables:
        print_table_3(validation, superpixels, convnets)
    print(f"\nthe best, {validation.best_name}")
    print(
        segmentation_report(
            validation.truth,
            validation.best,
            class_names=val.class_names,
            **Validation.classes,
        )
    )
    if args.submission:
        write_voc_submission(
            args.submission, val.ids, validation.best, root=args.root, split="val"
        )
    print_cost(stopwatch, len(superpixels))


if __name__ == "__main__":
    main()
