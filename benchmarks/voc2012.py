"""PASCAL VOC 2012: Tables 1 and 2 of the paper.

Train on the images of train.txt and measure on those of val.txt, whatever images these
lists hold. The paper adds SBD's annotations to train.txt (--annotations augmented).
Superpixels and features are computed once. The dictionaries of textons and visual words
are fitted on the training images. Measures are taken over all labeled pixels of
val.txt.

    python benchmarks/voc2012.py
    python benchmarks/voc2012.py --images 16 --tables 1
    python benchmarks/voc2012.py --tables 2 --backbone zoomnet squeezenet1_0 --maps

Table 1 is a linear classifier on every set of levels, with the first --backbone. The
paper calls its figures "mean class accuracy", and repeats the last of them, 52.4, as
mean IoU in Table 2. Table 2 is networks of different sizes on all four levels of every
--backbone. Table 3 is not in the paper and not printed by default. It is the preset
"fast" with the first --backbone: with its own weights, fine-tuned, and with both
networks side by side.

Linear classifiers and all rows on four levels are trained slowly, as the paper's. Other
rows are trained as by default.

    python benchmarks/voc2012.py --tables 3

The features of an image take 7 MB with ZoomNet: 20 GB for the official lists and 84 GB
for the augmented one.

The data comes from the folder in SKLEARN_ZOOMOUT_DATA, or --root. ZoomNet's weights
come with the library. Those of other backbones come from the folder in
SKLEARN_ZOOMOUT_WEIGHTS, or are downloaded.
"""

import numpy as np
from _common import (
    LEVELS,
    PAPER_TRAINING,
    SUBSETS,
    add_options,
    ceiling,
    draw_positions,
    make_parser,
    measure,
    print_header,
    print_row,
    print_setup,
)
from _experiment import Experiment

from sklearn_zoomout import Superpixels
from sklearn_zoomout.datasets import load_voc2012, write_voc_submission
from sklearn_zoomout.metrics import segmentation_report

OFFICIAL = {
    "voc": {"train": 1464, "val": 1449},
    "augmented": {"train": 10582, "val": 1449},
}
CLASSES = range(21)
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
# With CNN-S and with VGG-16, by hidden units and dropout. The paper does not state the
# rate of dropout; 0.5 is the library's.
TABLE_2 = {
    ((), 0.0): (52.4, None),
    ((256,), 0.0): (57.9, 62.3),
    ((512,), 0.0): (59.1, 63.0),
    ((1024,), 0.0): (None, 63.5),
    ((256, 256), 0.0): (56.4, None),
    ((256, 256), 0.5): (57.0, None),
}
# Not in the paper: the classifier of the preset "fast" with three weights of the
# classes in the loss, and a wider classifier.
OURS = [((512,), 0.5, weight) for weight in ("balanced", 0.5, None)]
OURS.append(((1024,), 0.5, "balanced"))
CEILING = 94.4


def parse_arguments():
    parser = make_parser(__doc__)
    parser.add_argument("--root", help="the folder that holds VOCdevkit")
    parser.add_argument("--annotations", choices=list(OFFICIAL), default="voc")
    parser.add_argument("--sbd-root", help="the folder that holds benchmark_RELEASE")
    parser.add_argument(
        "--images", type=int, help="use N images of each list, drawn at random"
    )
    parser.add_argument(
        "--tables", type=int, nargs="+", choices=[1, 2, 3], default=[1, 2]
    )
    parser.add_argument(
        "--tuning-steps", type=int, help="training steps of the backbone of Table 3"
    )
    parser.add_argument(
        "--submission",
        metavar="FILE",
        help="write the predictions of the model with the best mean IoU as .tgz",
    )
    add_options(parser)
    args = parser.parse_args()
    if 3 in args.tables and args.maps is None:
        if args.tables != [3]:
            parser.error("--tables 3 together with others needs --maps")
        args.maps = []
    if args.submission and args.images:
        parser.error("--submission needs all images of val.txt, without --images")
    if args.submission and not args.submission.endswith((".tgz", ".tar.gz")):
        parser.error("--submission takes a name in .tgz or .tar.gz")
    return args


class Validation(Experiment):
    """Train on one list and measure on the other, and keep the best predictions.

    Parameters
    ----------
    args : argparse.Namespace
        The options.
    train, val : Bunch
        The lists, as `load_voc2012` returns them.
    """

    def __init__(self, args, train, val):
        super().__init__(args)
        self.n_train, self.n_val = len(train.masks), len(val.masks)
        self.masks = train.masks + val.masks
        self.truth = val.masks
        self.split = np.split(np.arange(len(self.masks)), [self.n_train])
        self.superpixels = Superpixels(
            segmented
            for data in (train, val)
            for segmented in self.segment(data.images)
        )
        self.best_iou = -1.0
        self.convnets = self.describe_convnets(self.superpixels)
        self.crafted = None
        if {1, 2} & set(args.tables):
            self.crafted = self.describe_crafted(self.superpixels, self.split[0])

    def measure(self, label_maps):
        """Measure label maps of the images of val.txt."""
        return measure(self.truth, label_maps, labels=CLASSES)

    def print_row(self, title, name, table, paper, hidden, **options):
        """Print the measures of a classifier, and the paper's figures."""
        model = self.classifier(hidden, classes=CLASSES, **options)
        predictions = self.train_and_predict(
            model, table, self.masks, self.split, title
        )
        scores = self.measure(predictions)
        print_row(name, [*scores, *paper])
        if scores[-1] > self.best_iou:
            self.best_iou, self.best_name = scores[-1], f"{title}: {name}"
            self.best = [labels.astype(np.uint8) for labels in predictions]

    def print_networks(self, title, table, rows, **training):
        """Print a row for each (hidden units, dropout, class weight) of a dict.

        The values of the dict are the paper's figures. The options are those of the
        training.
        """
        for (hidden, dropout, weight), paper in rows.items():
            name = "+".join(map(str, hidden)) or "linear"
            name += f", dropout {dropout}" if dropout else ""
            name += "" if weight == "balanced" else f", class_weight={weight}"
            options = {"dropout": dropout, "class_weight": weight, **training}
            self.print_row(title, name, table, paper, hidden, **options)

    def print_ceiling(self):
        """Print the measures of the majority label of every superpixel."""
        labels = ceiling(self.truth, self.superpixels[self.split[1]], CLASSES)
        print_row(
            f"ceiling of the superpixels (paper: {CEILING} pixel accuracy)",
            self.measure(labels),
        )

    def print_table_1(self):
        """Print linear classifiers of all sets of levels."""
        backbone, convnet = next(iter(self.convnets.items()))
        table = np.concatenate([self.crafted, convnet], axis=1)
        rows = [
            ("+".join(levels), levels, TABLE_1.get(levels), {}) for levels in SUBSETS
        ]
        symmetric = {"class_weight": None}
        rows.append(("all, symmetric loss", LEVELS, TABLE_1_SYMMETRIC, symmetric))
        if self.args.maps is not None:
            rows += [("+".join(levels), levels, None, {}) for levels in MAPS]
        title = f"Table 1, {backbone}"
        print(f"\n{title}; the last column is the paper's, with CNN-S")
        print_header("paper")
        for name, levels, paper, options in rows:
            chosen = table.select(levels)
            options |= PAPER_TRAINING
            self.print_row(title, name, chosen, [paper], (), **options)

    def print_table_2(self):
        """Print networks of different sizes on all levels."""
        for levels, table in self.all_levels().items():
            title = f"Table 2, {levels}"
            print(f"\n{title} ({table.n_columns} columns); then the paper's IoU")
            print_header("CNN-S", "VGG-16")
            rows, training = {}, {}
            if table.block_names == list(LEVELS):
                training = PAPER_TRAINING
                rows = {(*network, "balanced"): iou for network, iou in TABLE_2.items()}
            rows |= dict.fromkeys(OURS, ())
            self.print_networks(title, table, rows, **training)

    def all_levels(self):
        """Return the tables of all levels of every backbone, by their names."""
        tables = {}
        for backbone, convnet in self.convnets.items():
            table = np.concatenate([self.crafted, convnet], axis=1)
            tables[f"four levels, {backbone}"] = table.select(LEVELS)
            if self.args.maps is not None:
                tables[f"four levels + maps, {backbone}"] = table
                tables[f"distant + global + maps, {backbone}"] = convnet
        return tables

    def print_table_3(self):
        """Print the preset "fast" with the backbone frozen, fine-tuned, and both."""
        backbone, frozen = next(iter(self.convnets.items()))
        tuned = self.describe_fine_tuned(
            backbone, self.superpixels, self.masks, self.split[0]
        )
        both = np.concatenate([frozen, tuned], axis=1)
        tables = {
            "as it was": frozen,
            "fine-tuned": tuned,
            "as it was and fine-tuned": both,
        }
        for name, table in tables.items():
            title = f"Table 3, distant + global + maps, {backbone} {name}"
            print(f"\n{title}")
            print_header()
            self.print_networks(title, table, dict.fromkeys(OURS[:3], ()))


def load(args):
    """Load both lists, and print how they differ from the official ones."""
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
        raise SystemExit(f"{len(both)} images are in both lists, such as {min(both)}.")
    for data in (train, val):
        chosen = draw_positions(args, len(data.ids))
        data.images, data.masks = data.images[chosen], list(data.masks[chosen])
    return train, val


def main():
    args = parse_arguments()
    print_setup(args)
    train, val = load(args)
    validation = Validation(args, train, val)
    print(f"\n{validation.n_val} images of val, {validation.superpixels}")
    print_header()
    validation.print_ceiling()
    if 1 in args.tables:
        validation.print_table_1()
    if 2 in args.tables:
        validation.print_table_2()
    if 3 in args.tables:
        validation.print_table_3()
    print(f"\nthe best, {validation.best_name}")
    names = {"labels": CLASSES, "class_names": val.class_names}
    print(segmentation_report(validation.truth, validation.best, **names))
    if args.submission:
        write_voc_submission(
            args.submission, val.ids, validation.best, root=args.root, split="val"
        )
    validation.print_cost(len(validation.superpixels))


if __name__ == "__main__":
    main()
