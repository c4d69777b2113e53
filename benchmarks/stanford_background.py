"""Stanford Background: Table 5 of the paper, and the ablation of Table 1 on it.

Protocol of Table 5: cross-validation over images, 5 folds drawn at random. The
dictionaries of textons and visual words are fitted on the training images of each
fold; superpixels and convnet features, which learn nothing from this data, are
computed once. Measures are taken over all labeled pixels of a fold's test images.

    python benchmarks/stanford_background.py
    python benchmarks/stanford_background.py \
        --crafted --backbone zoomnet zoomnet=none squeezenet1_0
    python benchmarks/stanford_background.py --ablation --backbone squeezenet1_0

The data comes from the folder in SKLEARN_ZOOMOUT_DATA, or is downloaded. ZoomNet's
weights come with the library; those of other backbones from the folder in
SKLEARN_ZOOMOUT_WEIGHTS, or are downloaded.
"""

import argparse

import numpy as np
from _common import (
    SUBSETS,
    Stopwatch,
    add_options,
    ceiling,
    choose_levels,
    describe_convnets,
    describe_crafted,
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
from sklearn.model_selection import KFold

from sklearn_zoomout import ZoomoutClassifier
from sklearn_zoomout.datasets import fetch_stanford_background
from sklearn_zoomout.metrics import segmentation_report

PAPER = (82.1, 77.3)


def parse_arguments():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--folds", type=int, default=5)
    parser.add_argument("--images", type=int, help="use N images drawn at random")
    parser.add_argument(
        "--crafted", action="store_true", help="a row for local and proximal alone"
    )
    parser.add_argument("--hidden", type=int, nargs="*", default=[128])
    parser.add_argument("--dropout", type=float, default=ZoomoutClassifier().dropout)
    parser.add_argument("--ablation", action="store_true", help="Table 1 instead")
    parser.add_argument("--ablation-folds", type=int, default=1)
    add_options(parser)
    args = parser.parse_args()
    if args.ablation and len(args.backbone) > 1:
        parser.error("--ablation takes one --backbone")
    return args


def cross_validate(args, data, superpixels, convnets, splits, stopwatch):
    """Table 5, printing a row for each fold and set of levels."""
    masks, scores, predicted = data.masks, {}, {}
    print()
    print_header()
    for fold, split in enumerate(splits):
        train, test = split
        crafted = describe_crafted(args, superpixels, train, stopwatch)
        tables = {"local + proximal": crafted} if args.crafted else {}
        tables |= choose_levels(args, crafted, convnets)
        for name, table in tables.items():
            model = make_classifier(args, args.hidden, dropout=args.dropout)
            predictions = train_and_predict(model, table, masks, split, stopwatch, name)
            for i, prediction in zip(test, predictions, strict=True):
                predicted.setdefault(name, [None] * len(masks))[i] = prediction
            score = measure([masks[i] for i in test], predictions)
            scores.setdefault(name, []).append(score)
            print_row(f"{name} ({table.n_columns} columns), fold {fold + 1}", score)
        del crafted, tables, table
    for name in scores:
        print_row(f"{name}, mean of folds", np.mean(scores[name], axis=0))
        print_row("  standard deviation", np.std(scores[name], axis=0, ddof=1))
        print_row("  all pixels", measure(masks, predicted[name]))
    print_row("paper, Table 5", PAPER)
    best = ceiling(masks, superpixels, classes=range(8))
    print_row("ceiling of the superpixels", measure(masks, best))
    for name in scores:
        print(f"\n{name}, all pixels")
        classes = {"labels": range(8), "class_names": data.class_names}
        print(segmentation_report(masks, predicted[name], **classes))


def ablate(args, data, superpixels, convnets, splits, stopwatch):
    """Table 1 on this data: all subsets of levels, features extracted once a fold."""
    masks, scores = data.masks, {}
    (convnet,) = convnets.values()
    columns = [(h, w) for h in ((), tuple(args.hidden)) for w in ("balanced", None)]
    for split in splits[: args.ablation_folds]:
        train, test = split
        crafted = describe_crafted(args, superpixels, train, stopwatch)
        table = np.concatenate([crafted, convnet], axis=1)
        for levels in SUBSETS:
            for hidden, weight in columns:
                model = make_classifier(
                    args, hidden, dropout=args.dropout, class_weight=weight
                )
                predictions = train_and_predict(
                    model, table.select(levels), masks, split, stopwatch, "all subsets"
                )
                key = (hidden, weight, "+".join(levels))
                score = measure([masks[i] for i in test], predictions)
                scores.setdefault(key, []).append(score)
                print_row(" ".join(map(str, key)), score)
        del crafted, table
    folds = f"mean of {args.ablation_folds} of {args.folds} folds"
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


def main():
    args = parse_arguments()
    print_setup(args)
    data = fetch_stanford_background()
    chosen = draw_images(args, len(data.images))
    data.images = [data.images[i] for i in chosen]
    data.masks = [data.masks[i] for i in chosen]
    stopwatch = Stopwatch()
    superpixels = segment(args, data.images, stopwatch)
    convnets = describe_convnets(args, superpixels, stopwatch)
    folds = KFold(args.folds, shuffle=True, random_state=args.seed)
    splits = list(folds.split(data.images))
    run = ablate if args.ablation else cross_validate
    run(args, data, superpixels, convnets, splits, stopwatch)
    passes = args.ablation_folds if args.ablation else args.folds
    print_cost(stopwatch, len(data.images), passes)


if __name__ == "__main__":
    main()
