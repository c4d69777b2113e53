"""Stanford Background: Table 5 of the paper, and the ablation of Table 1 on it.

Protocol of Table 5: cross-validation over images, 5 folds drawn at random. The
dictionaries of textons and visual words are fitted on the training images of each
fold; superpixels and convnet features, which learn nothing from this data, are
computed once. Measures are taken over all labeled pixels of a fold's test images.

    python benchmarks/stanford_background.py
    python benchmarks/stanford_background.py \
        --rows crafted levels maps smoothed --backbone zoomnet zoomnet=none
    python benchmarks/stanford_background.py --rows local-convnet --run-folds 1
    python benchmarks/stanford_background.py --ablation --run-folds 1

Rows, for every backbone where they need one:

- crafted: local and proximal level;
- levels: the paper's four levels;
- local-convnet: the four levels and the local convnet of section 4.2.1, its outputs
  on the training images out of fold, and leaking as in the paper;
- maps: distant and global level and maps averaged over superpixels, the preset "fast";
- levels+maps: all five levels;
- smoothed, islands: as maps, cleaned up by `GraphSmoothing` or `IslandRemoval`; what is
  smoothed is not trained again for the row "maps";
- fine-tuned, fine-tuned-smoothed: as maps and smoothed, of a network that was trained
  on the training images (`FineTuning`).

Networks have 128 hidden units, as the paper's on this data, or 512 with maps, as
"fast". The data comes from the folder in SKLEARN_ZOOMOUT_DATA, or is downloaded.
ZoomNet's weights come with the library; those of other backbones from the folder in
SKLEARN_ZOOMOUT_WEIGHTS, or are downloaded.
"""

import argparse
from dataclasses import replace

import numpy as np
from _common import (
    LEVELS,
    SUBSETS,
    Stopwatch,
    add_options,
    ceiling,
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
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection import KFold

from sklearn_zoomout import (
    FeatureTable,
    GraphSmoothing,
    IslandRemoval,
    LocalConvnetFeatures,
    ZoomoutClassifier,
)
from sklearn_zoomout.datasets import fetch_stanford_background
from sklearn_zoomout.metrics import segmentation_report

PAPER = (82.1, 77.3)
ROWS = [
    "crafted",
    "levels",
    "local-convnet",
    "maps",
    "levels+maps",
    "smoothed",
    "islands",
    "fine-tuned",
    "fine-tuned-smoothed",
]
FINE_TUNED = {"fine-tuned", "fine-tuned-smoothed"}
WITH_MAPS = {"maps", "levels+maps", "smoothed", "islands"} | FINE_TUNED
WITHOUT_CRAFTED = WITH_MAPS - {"levels+maps"}


def parse_arguments():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--folds", type=int, default=5)
    parser.add_argument("--run-folds", type=int, help="only the first N of the folds")
    parser.add_argument("--images", type=int, help="use N images drawn at random")
    parser.add_argument("--rows", nargs="+", choices=ROWS, default=["levels", "maps"])
    parser.add_argument("--local-convnet-steps", type=int, help="of its training")
    parser.add_argument("--tuning-steps", type=int, help="of fine-tuned backbones")
    parser.add_argument("--hidden", type=int, nargs="*", help="units of every layer")
    parser.add_argument("--dropout", type=float, default=ZoomoutClassifier().dropout)
    parser.add_argument("--ablation", action="store_true", help="Table 1 instead")
    add_options(parser)
    args = parser.parse_args()
    if args.ablation and len(args.backbone) > 1:
        parser.error("--ablation takes one --backbone")
    if args.maps is None and not args.ablation and set(args.rows) & WITH_MAPS:
        args.maps = []
    return args


def describe_local_convnet(args, superpixels, masks, train, stopwatch):
    """Outputs of the local convnet, trained on ``train``, for all images.

    The two tables differ on the training images, which the network of `transform` has
    seen, and which it describes where the outputs leak.
    """
    features = LocalConvnetFeatures(
        max_steps=args.local_convnet_steps,
        classes=range(8),
        device=args.device,
        random_state=args.seed,
        verbose=args.verbose,
    )
    with stopwatch(f"training, local convnet, {features.cv} folds and all"):
        honest = features.fit_transform(superpixels[train], [masks[i] for i in train])
    with stopwatch("prediction, local convnet"):
        leaking = features.transform(superpixels)
    values = leaking.to_numpy()
    values[np.isin(leaking.image_of_row, train)] = honest.to_numpy()
    (block,) = leaking.blocks
    out_of_fold = FeatureTable(superpixels, [replace(block, values=values)])
    return {"out of fold": out_of_fold, "leaking": leaking}


def choose_rows(args, data, superpixels, convnets, train, stopwatch):
    """Yield the name, the table and the model of every row that was asked for."""
    units = [128] if args.hidden is None else args.hidden
    units_of_maps = [512] if args.hidden is None else args.hidden
    model = make_classifier(args, units, dropout=args.dropout)
    maps_model = make_classifier(args, units_of_maps, dropout=args.dropout)
    crafted, local_convnet, rows = None, {}, set(args.rows)
    if rows - WITHOUT_CRAFTED:
        crafted = describe_crafted(args, superpixels, train, stopwatch)
    if "local-convnet" in rows:
        local_convnet = describe_local_convnet(
            args, superpixels, data.masks, train, stopwatch
        )
    if "crafted" in rows:
        yield "local + proximal", crafted, model
    for backbone, convnet in convnets.items():
        if crafted is not None and convnet is not None:
            everything = np.concatenate([crafted, convnet], axis=1)
            levels = everything.select(LEVELS)
        if "levels" in rows:
            yield f"four levels, {backbone}", levels, model
        for way, outputs in local_convnet.items():
            table = np.concatenate([levels, outputs], axis=1)
            yield f"four levels + local convnet ({way}), {backbone}", table, model
        if "levels+maps" in rows:
            yield f"four levels + maps, {backbone}", everything, maps_model
        name = f"distant + global + maps, {backbone}"
        wanted = "maps" in rows, "smoothed" in rows
        yield from plain_and_smoothed(name, convnet, maps_model, *wanted)
        if "islands" in rows:
            yield f"{name}, islands removed", convnet, IslandRemoval(maps_model)
        if rows & FINE_TUNED:
            tuned = describe_fine_tuned(
                args, backbone, superpixels, data.masks, train, stopwatch
            )
            wanted = "fine-tuned" in rows, "fine-tuned-smoothed" in rows
            name += ", fine-tuned"
            yield from plain_and_smoothed(name, tuned, maps_model, *wanted)


def plain_and_smoothed(name, table, model, plain, smoothed):
    """Yield the row of a model, and that of it with its predictions smoothed."""
    smoothing = GraphSmoothing(model)
    if smoothed:
        yield f"{name}, smoothed", table, smoothing
    if plain:
        # The row above, if there is one, has trained the same model by now.
        trained = getattr(smoothing, "estimator_", None)
        yield name, table, model if trained is None else FrozenEstimator(trained)


def cross_validate(args, data, superpixels, convnets, splits, stopwatch):
    """Table 5, printing each row of each fold."""
    masks, scores, predicted = data.masks, {}, {}
    print()
    print_header()
    for fold, split in enumerate(splits):
        train, test = split
        rows = choose_rows(args, data, superpixels, convnets, train, stopwatch)
        for name, table, model in rows:
            maps = train_and_predict(model, table, masks, split, stopwatch, name)
            predicted.setdefault(name, {}).update(zip(test, maps, strict=True))
            score = measure([masks[i] for i in test], maps)
            scores.setdefault(name, []).append(score)
            print_row(f"{name} ({table.n_columns} columns), fold {fold + 1}", score)
    tested = np.concatenate([test for _, test in splits])
    truth = [masks[i] for i in tested]
    labels = {name: [maps[i] for i in tested] for name, maps in predicted.items()}
    for name, maps in labels.items():
        print_row(f"{name}, mean of folds", np.mean(scores[name], axis=0))
        if len(splits) > 1:
            print_row("  standard deviation", np.std(scores[name], axis=0, ddof=1))
        print_row("  all pixels", measure(truth, maps))
    print_row("paper, Table 5", PAPER)
    best = ceiling(truth, superpixels[tested], classes=range(8))
    print_row("ceiling of the superpixels", measure(truth, best))
    for name, maps in labels.items():
        print(f"\n{name}, all pixels")
        classes = {"labels": range(8), "class_names": data.class_names}
        print(segmentation_report(truth, maps, **classes))


def ablate(args, data, superpixels, convnets, splits, stopwatch):
    """Table 1 on this data: all subsets of levels, features extracted once a fold."""
    masks, scores = data.masks, {}
    (convnet,) = convnets.values()
    units = (128,) if args.hidden is None else tuple(args.hidden)
    columns = [(h, w) for h in ((), units) for w in ("balanced", None)]
    for split in splits:
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
    print("\npixel accuracy, class accuracy and mean IoU, mean of the folds above")
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
    convnets = dict.fromkeys(args.backbone)
    if args.ablation or set(args.rows) - FINE_TUNED - {"crafted"}:
        convnets = describe_convnets(args, superpixels, stopwatch)
    folds = KFold(args.folds, shuffle=True, random_state=args.seed)
    splits = list(folds.split(data.images))[: args.run_folds]
    run = ablate if args.ablation else cross_validate
    run(args, data, superpixels, convnets, splits, stopwatch)
    print_cost(stopwatch, len(data.images), len(splits))


if __name__ == "__main__":
    main()
