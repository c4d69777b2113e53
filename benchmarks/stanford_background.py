"""Stanford Background: Table 5 of the paper, and the ablation of Table 1 on it.

Protocol of Table 5: cross-validation over images, 5 folds drawn at random. The
dictionaries of textons and visual words are fitted on the training images of each
fold; superpixels and convnet features, which learn nothing from this data, are
computed once. Measures are taken over all labeled pixels of a fold's test images.

    python benchmarks/stanford_background.py
    python benchmarks/stanford_background.py \
        --crafted --backbone zoomnet zoomnet=none squeezenet1_0
    python benchmarks/stanford_background.py --maps --cleanup
    python benchmarks/stanford_background.py --ablation --backbone squeezenet1_0

The data comes from the folder in SKLEARN_ZOOMOUT_DATA, or is downloaded. ZoomNet's
weights come with the library; those of other backbones from the folder in
SKLEARN_ZOOMOUT_WEIGHTS, or are downloaded.
"""

import argparse
import os
import platform
import resource
import time
from contextlib import contextmanager
from itertools import combinations

import numpy as np
from sklearn.model_selection import KFold
from sklearn.pipeline import FeatureUnion

from sklearn_zoomout import (
    ConvnetRegionFeatures,
    ConvnetSuperpixelFeatures,
    GlobalFeatures,
    GraphSmoothing,
    IslandRemoval,
    LocalFeatures,
    ProximalFeatures,
    SuperpixelSegmenter,
    ZoomoutClassifier,
)
from sklearn_zoomout.datasets import fetch_stanford_background
from sklearn_zoomout.labels import superpixel_labels
from sklearn_zoomout.metrics import (
    class_accuracy,
    mean_iou,
    pixel_accuracy,
    segmentation_report,
)

LEVELS = ("local", "proximal", "distant", "global")
PAPER = (82.1, 77.3)


def parse_arguments():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--folds", type=int, default=5)
    parser.add_argument("--seed", type=int, default=0, help="of folds and training")
    parser.add_argument("--images", type=int, help="use N images drawn at random")
    parser.add_argument(
        "--backbone",
        nargs="+",
        default=["zoomnet"],
        metavar="NAME[=WEIGHTS]",
        help='WEIGHTS is a path, or "none" for random ones; one row for each',
    )
    parser.add_argument(
        "--crafted", action="store_true", help="a row for local and proximal alone"
    )
    parser.add_argument(
        "--maps",
        nargs="*",
        metavar="LAYER",
        help="rows with a fifth level: the backbone's maps averaged over superpixels; "
        "all of its resolutions unless layers are named",
    )
    parser.add_argument(
        "--cleanup",
        action="store_true",
        help="rows in which the predictions of distant + global + maps are cleaned up",
    )
    parser.add_argument("--input-size", type=int, default=640)
    parser.add_argument("--hidden", type=int, nargs="*", default=[128])
    parser.add_argument("--epochs", type=int)
    parser.add_argument("--dropout", type=float)
    parser.add_argument("--learning-rate", type=float)
    parser.add_argument("--weight-decay", type=float)
    parser.add_argument("--n-jobs", type=int, default=os.cpu_count())
    parser.add_argument("--ablation", action="store_true", help="Table 1 instead")
    parser.add_argument("--ablation-folds", type=int, default=1)
    parser.add_argument("--verbose", type=int, default=0)
    args = parser.parse_args()
    if args.ablation and len(args.backbone) > 1:
        parser.error("--ablation takes one --backbone")
    if args.cleanup and args.maps is None:
        parser.error("--cleanup needs --maps")
    return args


class Stopwatch:
    """Seconds by name of stage."""

    def __init__(self):
        self.seconds = {}

    @contextmanager
    def __call__(self, stage):
        start = time.perf_counter()
        yield
        elapsed = time.perf_counter() - start
        self.seconds[stage] = self.seconds.get(stage, 0.0) + elapsed


def make_classifier(args, hidden_units, class_weight="balanced"):
    options = {
        "max_epochs": args.epochs,
        "dropout": args.dropout,
        "learning_rate": args.learning_rate,
        "weight_decay": args.weight_decay,
    }
    given = {name: value for name, value in options.items() if value is not None}
    return ZoomoutClassifier(
        hidden_units, class_weight=class_weight, random_state=args.seed, **given
    )


def extract_once(args, images, stopwatch):
    """Superpixels, and the levels that learn nothing from the training images.

    The latter are a table for each backbone.
    """
    with stopwatch("superpixels"):
        segmenter = SuperpixelSegmenter(n_jobs=args.n_jobs, verbose=args.verbose)
        superpixels = segmenter.transform(images)
    tables = {}
    for backbone in args.backbone:
        tables[backbone] = describe(args, backbone, superpixels, stopwatch)
    return superpixels, tables


def describe(args, backbone, superpixels, stopwatch):
    """Compute the convnet's levels of one backbone."""
    name, _, weights = backbone.partition("=")
    weights = None if weights == "none" else weights or "default"
    common = {"backbone": name, "weights": weights, "verbose": args.verbose}
    common_regions = common | {"input_size": args.input_size}
    levels = [ConvnetRegionFeatures(**common_regions), GlobalFeatures(**common)]
    if args.maps is not None:
        layers = args.maps or "all"
        levels.append(ConvnetSuperpixelFeatures(layers=layers, **common_regions))
    tables = []
    for level in levels:
        with stopwatch(f"{level.block_name}, {backbone}"):
            tables.append(level.fit_transform(superpixels))
    print(f"{backbone}: {level.weights_}, sha256 {level.weights_sha256_}")
    return np.concatenate(tables, axis=1)


def describe_crafted(args, superpixels, train, stopwatch):
    """Local and proximal features, their dictionaries fitted on ``train``."""
    options = {
        "n_jobs": args.n_jobs,
        "random_state": args.seed,
        "verbose": args.verbose,
    }
    union = FeatureUnion(
        [
            ("local", LocalFeatures(**options)),
            ("proximal", ProximalFeatures(**options)),
        ]
    )
    with stopwatch("dictionaries"):
        union.fit(superpixels[train])
    with stopwatch("local and proximal"):
        return union.transform(superpixels)


def measure(masks, predictions, test):
    truth = [masks[i] for i in test]
    return 100 * np.array(
        [f(truth, predictions) for f in (pixel_accuracy, class_accuracy, mean_iou)]
    )


def print_row(name, values):
    print(f"{name:60s}" + "".join(f"{v:8.1f}" for v in values), flush=True)


def ceiling(masks, superpixels):
    return [
        superpixel_labels(s, m, classes=range(8))[s.segments]
        for s, m in zip(superpixels, masks, strict=True)
    ]


def choose_levels(args, crafted, convnets):
    """Give the table of every row of Table 5 that was asked for, by its name."""
    rows = {"local + proximal": crafted} if args.crafted else {}
    for backbone, convnet in convnets.items():
        table = np.concatenate([crafted, convnet], axis=1)
        rows[f"four levels, {backbone}"] = table.select(list(LEVELS))
        if args.maps is not None:
            rows[f"four levels + maps, {backbone}"] = table
            rows[f"distant + global + maps, {backbone}"] = convnet
    return rows


def choose_models(args, name):
    """Give the models of a row of Table 5, and of its rows with clean-up."""
    model = make_classifier(args, args.hidden)
    models = {name: model}
    if args.cleanup and name.startswith("distant + global + maps"):
        models[f"{name}, smoothed"] = GraphSmoothing(model)
        models[f"{name}, islands removed"] = IslandRemoval(model)
        models[f"{name}, both"] = IslandRemoval(GraphSmoothing(model))
    return models


def cross_validate(args, data, superpixels, convnets, splits, stopwatch):
    """Table 5, printing a row for each fold and set of levels."""
    masks, scores, predicted = data.masks, {}, {}
    print(f"\n{'':60s}{'pixel':>8s}{'class':>8s}{'IoU':>8s}")
    for fold, (train, test) in enumerate(splits):
        crafted = describe_crafted(args, superpixels, train, stopwatch)
        for levels, table in choose_levels(args, crafted, convnets).items():
            for name, model in choose_models(args, levels).items():
                with stopwatch(f"training, {name}"):
                    model.fit(table[train], [masks[i] for i in train])
                with stopwatch(f"prediction, {name}"):
                    predictions = model.predict(table[test])
                for i, prediction in zip(test, predictions, strict=True):
                    predicted.setdefault(name, [None] * len(masks))[i] = prediction
                score = measure(masks, predictions, test)
                scores.setdefault(name, []).append(score)
                print_row(f"{name} ({table.n_columns} columns), fold {fold + 1}", score)
        del crafted, table
    everything = np.arange(len(masks))
    for name in scores:
        print_row(f"{name}, mean of folds", np.mean(scores[name], axis=0))
        print_row("  standard deviation", np.std(scores[name], axis=0, ddof=1))
        print_row("  all pixels", measure(masks, predicted[name], everything))
    print_row("paper, Table 5", PAPER)
    best = ceiling(masks, superpixels)
    print_row("ceiling of the superpixels", measure(masks, best, everything))
    for name in scores:
        print(f"\n{name}, all pixels")
        classes = {"labels": range(8), "class_names": data.class_names}
        print(segmentation_report(masks, predicted[name], **classes))


def ablate(args, data, superpixels, convnets, splits, stopwatch):
    """Table 1 on this data: all subsets of levels, features extracted once a fold."""
    masks, scores = data.masks, {}
    (convnet,) = convnets.values()
    for train, test in splits[: args.ablation_folds]:
        crafted = describe_crafted(args, superpixels, train, stopwatch)
        table = np.concatenate([crafted, convnet], axis=1)
        for size in range(1, len(LEVELS) + 1):
            for levels in combinations(LEVELS, size):
                for hidden in ((), tuple(args.hidden)):
                    for weight in ("balanced", None):
                        model = make_classifier(args, hidden, weight)
                        with stopwatch("training"):
                            model.fit(
                                table.select(levels)[train], [masks[i] for i in train]
                            )
                        with stopwatch("prediction"):
                            predictions = model.predict(table.select(levels)[test])
                        key = (hidden, weight, "+".join(levels))
                        score = measure(masks, predictions, test)
                        scores.setdefault(key, []).append(score)
                        print_row(" ".join(map(str, key)), score)
        del crafted, table
    folds = f"mean of {args.ablation_folds} of {args.folds} folds"
    columns = [(h, w) for h in ((), tuple(args.hidden)) for w in ("balanced", None)]
    print(f"\npixel accuracy, class accuracy and mean IoU; {folds}")
    titles = [
        f"{h or 'linear'}, {'asymmetric' if w else 'symmetric'}" for h, w in columns
    ]
    print(f"{'':34s}" + "".join(f"{title:>24s}" for title in titles))
    for levels in dict.fromkeys(key[2] for key in scores):
        cells = [np.mean(scores[(h, w, levels)], axis=0) for h, w in columns]
        print(
            f"{levels:34s}"
            + "".join("{:12.1f}{:6.1f}{:6.1f}".format(*cell) for cell in cells)
        )


def print_cost(stopwatch, n_images):
    print(f"\n{'seconds':46s}total   per image and pass")
    passes = {"dictionaries", "local and proximal"}
    for stage, seconds in stopwatch.seconds.items():
        share = seconds / n_images / (stopwatch.passes if stage in passes else 1)
        print(f"{stage:44s}{seconds:7.0f}{share:12.3f}")
    one_pass = sum(
        seconds / (stopwatch.passes if stage in passes else 1)
        for stage, seconds in stopwatch.seconds.items()
        if not stage.startswith(("training", "prediction"))
    )
    print(f"one extraction of all that is above: {one_pass / 60:.1f} minutes")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(f"peak memory: {peak:.1f} GB")


def main():
    args = parse_arguments()
    import sklearn
    import torch

    print(
        f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores; "
        f"Python {platform.python_version()}, scikit-learn {sklearn.__version__}, "
        f"torch {torch.__version__}"
    )
    print(" ".join(f"{name}={value}" for name, value in vars(args).items()))
    data = fetch_stanford_background()
    if args.images:
        order = np.random.RandomState(args.seed).permutation(len(data.images))
        chosen = np.sort(order[: args.images])
        data.images = [data.images[i] for i in chosen]
        data.masks = [data.masks[i] for i in chosen]
    stopwatch = Stopwatch()
    superpixels, convnets = extract_once(args, data.images, stopwatch)
    folds = KFold(args.folds, shuffle=True, random_state=args.seed)
    splits = list(folds.split(data.images))
    stopwatch.passes = args.ablation_folds if args.ablation else args.folds
    run = ablate if args.ablation else cross_validate
    run(args, data, superpixels, convnets, splits, stopwatch)
    print_cost(stopwatch, len(data.images))


if __name__ == "__main__":
    main()
