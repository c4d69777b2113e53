"""Stanford Background: Table 5 of the paper, and the ablation of Table 1 on it.

The protocol is that of Table 5: cross-validation over images, with 5 folds drawn at
random. The dictionaries of textons and visual words are fitted on the training images
of each fold. Superpixels and convnet features learn nothing from this data and are
computed once. Measures are taken over all labeled pixels of a fold's test images.

    python benchmarks/stanford_background.py
    python benchmarks/stanford_background.py \
        --rows crafted levels maps smoothed --backbone zoomnet zoomnet=none
    python benchmarks/stanford_background.py --rows local-convnet --run-folds 1
    python benchmarks/stanford_background.py --ablation --run-folds 1

Rows, for every backbone where they need one:

- crafted: the local and the proximal level;
- levels: the paper's four levels;
- local-convnet: the four levels and the local convnet of section 4.2.1. Its outputs on
  the training images come from networks that were trained on other images, or, as in
  the paper, from the network that was trained on them ("leaking");
- maps: the preset "fast": distant level, global level, and feature maps averaged over
  superpixels;
- levels+maps: all five levels;
- pixels: as maps, with the pixel as the closest level, which is the default pipeline;
- smoothed, islands: as maps, cleaned up by `GraphSmoothing` or `IslandRemoval`. The
  rows "maps" and "smoothed" share one training;
- fine-tuned, fine-tuned-smoothed: as maps and smoothed, with a network that was trained
  on the training images of the fold (`FineTuning`).

Classifiers have 128 hidden units and are trained slowly, as the paper's on this data.
With maps they have 512 and are trained as by default, like "fast". The default network
and size are ``--backbone zoomnet_large --input-size 576``. The data comes from the
folder in SKLEARN_ZOOMOUT_DATA, or is downloaded. The weights of both ZoomNets come with
the library. Those of other backbones come from the folder in SKLEARN_ZOOMOUT_WEIGHTS,
or are downloaded.
"""

from dataclasses import replace

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
    near_boundaries,
    pick,
    print_header,
    print_row,
    print_setup,
)
from _experiment import Experiment
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection import KFold

from sklearn_zoomout import (
    FeatureTable,
    GraphSmoothing,
    IslandRemoval,
    LocalConvnetFeatures,
    PixelFusion,
    Training,
    ZoomoutClassifier,
)
from sklearn_zoomout.datasets import fetch_stanford_background
from sklearn_zoomout.metrics import segmentation_report

PAPER = (82.1, 77.3)
CLASSES = range(8)
ROWS = [
    "crafted",
    "levels",
    "local-convnet",
    "maps",
    "levels+maps",
    "pixels",
    "smoothed",
    "islands",
    "fine-tuned",
    "fine-tuned-smoothed",
]
FINE_TUNED = {"fine-tuned", "fine-tuned-smoothed"}
WITH_MAPS = {"maps", "levels+maps", "pixels", "smoothed", "islands"} | FINE_TUNED
WITHOUT_CRAFTED = WITH_MAPS - {"levels+maps"}


def parse_arguments():
    parser = make_parser(__doc__)
    parser.add_argument("--folds", type=int, default=5)
    parser.add_argument("--run-folds", type=int, help="run the first N folds only")
    parser.add_argument("--images", type=int, help="use N images drawn at random")
    parser.add_argument("--rows", nargs="+", choices=ROWS, default=["levels", "maps"])
    parser.add_argument(
        "--local-convnet-steps", type=int, help="training steps of the local convnet"
    )
    parser.add_argument(
        "--tuning-steps", type=int, help="training steps of fine-tuned backbones"
    )
    parser.add_argument("--hidden", type=int, nargs="*", help="units of every layer")
    parser.add_argument("--dropout", type=float, default=ZoomoutClassifier().dropout)
    parser.add_argument("--ablation", action="store_true", help="print Table 1 instead")
    add_options(parser)
    args = parser.parse_args()
    if args.ablation and len(args.backbone) > 1:
        parser.error("--ablation takes one --backbone")
    if args.maps is None and not args.ablation and set(args.rows) & WITH_MAPS:
        args.maps = []
    return args


class StanfordBackground(Experiment):
    """The rows of Tables 1 and 5 on the images of a data set."""

    def __init__(self, args, images, masks):
        super().__init__(args)
        self.masks = masks
        self.superpixels = self.segment(images)
        self.convnets = dict.fromkeys(args.backbone)
        if args.ablation or set(args.rows) - FINE_TUNED - {"crafted"}:
            self.convnets = self.describe_convnets(self.superpixels)

    def units(self, default):
        """Return --hidden, or one layer of a number of units."""
        return (default,) if self.args.hidden is None else tuple(self.args.hidden)

    def model(self, units, **options):
        """Return a classifier with --dropout."""
        return self.classifier(units, dropout=self.args.dropout, **options)

    def run(self, model, table, split, name):
        """Train and predict; return the label maps of the test images."""
        return self.train_and_predict(model, table, self.masks, split, name)

    def crafted(self, train):
        """Return the table of the local and the proximal level."""
        return self.describe_crafted(self.superpixels, train)

    def local_convnet(self, train):
        """Return two tables of the outputs of the local convnet.

        They differ on the training images. "leaking" has the outputs of the network
        that was trained on all of them, and "out of fold" those of networks that were
        trained on others.
        """
        features = LocalConvnetFeatures(
            classes=CLASSES,
            training=Training(self.args.local_convnet_steps),
            device=self.args.device,
            random_state=self.args.seed,
            verbose=self.args.verbose,
        )
        with self.stopwatch(f"training, local convnet, {features.cv} folds and all"):
            honest = features.fit_transform(
                self.superpixels[train], pick(self.masks, train)
            )
        with self.stopwatch("prediction, local convnet"):
            leaking = features.transform(self.superpixels)
        values = leaking.to_numpy()
        values[np.isin(leaking.image_of_row, train)] = honest.to_numpy()
        (block,) = leaking.blocks
        out_of_fold = FeatureTable(self.superpixels, [replace(block, values=values)])
        return {"out of fold": out_of_fold, "leaking": leaking}

    def rows(self, train):
        """Yield the name, the table and the model of every row of a fold."""
        rows, crafted, outputs = set(self.args.rows), None, {}
        model = self.model(self.units(128), **PAPER_TRAINING)
        wide = self.model(self.units(512))
        if rows - WITHOUT_CRAFTED:
            crafted = self.crafted(train)
        if "local-convnet" in rows:
            outputs = self.local_convnet(train)
        if "crafted" in rows:
            yield "local + proximal", crafted, model
        for backbone, convnet in self.convnets.items():
            if crafted is not None and convnet is not None:
                everything = np.concatenate([crafted, convnet], axis=1)
                levels = everything.select(LEVELS)
            if "levels" in rows:
                yield f"four levels, {backbone}", levels, model
            for way, table in outputs.items():
                name = f"four levels + local convnet ({way}), {backbone}"
                yield name, np.concatenate([levels, table], axis=1), model
            if "levels+maps" in rows:
                yield f"four levels + maps, {backbone}", everything, wide
            name = f"distant + global + maps, {backbone}"
            wanted = "maps" in rows, "smoothed" in rows
            yield from plain_and_smoothed(name, convnet, wide, *wanted)
            if "pixels" in rows:
                options = {"n_jobs": self.args.n_jobs, "random_state": self.args.seed}
                yield f"{name}, pixels", convnet, PixelFusion(wide, **options)
            if "islands" in rows:
                yield f"{name}, islands removed", convnet, IslandRemoval(wide)
            if rows & FINE_TUNED:
                tuned = self.describe_fine_tuned(
                    backbone, self.superpixels, self.masks, train
                )
                wanted = "fine-tuned" in rows, "fine-tuned-smoothed" in rows
                name += ", fine-tuned"
                yield from plain_and_smoothed(name, tuned, wide, *wanted)


def plain_and_smoothed(name, table, model, plain, smoothed):
    """Yield the row of a model, and the row of its smoothed predictions."""
    smoothing = GraphSmoothing(model)
    if smoothed:
        yield f"{name}, smoothed", table, smoothing
    if plain:
        # The row above, if there is one, has trained the same model by now.
        trained = getattr(smoothing, "estimator_", None)
        yield name, table, model if trained is None else FrozenEstimator(trained)


def cross_validate(experiment, splits, class_names):
    """Print Table 5, and each row of each fold."""
    masks, scores, predicted = experiment.masks, {}, {}
    print()
    print_header()
    for fold, split in enumerate(splits):
        train, test = split
        for name, table, model in experiment.rows(train):
            maps = experiment.run(model, table, split, name)
            predicted.setdefault(name, {}).update(zip(test, maps, strict=True))
            score = measure(pick(masks, test), maps)
            scores.setdefault(name, []).append(score)
            print_row(f"{name} ({table.n_columns} columns), fold {fold + 1}", score)
    tested = np.concatenate([test for _, test in splits])
    truth = pick(masks, tested)
    labels = {name: pick(maps, tested) for name, maps in predicted.items()}
    for name, maps in labels.items():
        print_row(f"{name}, mean of folds", np.mean(scores[name], axis=0))
        if len(splits) > 1:
            print_row("  standard deviation", np.std(scores[name], axis=0, ddof=1))
        print_row("  all pixels", measure(truth, maps))
        near = [near_boundaries(mask) for mask in truth]
        print_row("  within 3 pixels of a boundary", measure(near, maps))
    print_row("paper, Table 5", PAPER)
    best = ceiling(truth, experiment.superpixels[tested], CLASSES)
    print_row("ceiling of the superpixels", measure(truth, best))
    for name, maps in labels.items():
        print(f"\n{name}, all pixels")
        classes = {"labels": CLASSES, "class_names": class_names}
        print(segmentation_report(truth, maps, **classes))


def ablate(experiment, splits):
    """Print Table 1 on this data: all sets of levels and four models."""
    (convnet,) = experiment.convnets.values()
    scores = {}
    models = {
        f"{units or 'linear'}, {loss}": experiment.model(
            units, class_weight=weight, **PAPER_TRAINING
        )
        for units in ((), experiment.units(128))
        for loss, weight in (("asymmetric", "balanced"), ("symmetric", None))
    }
    for split in splits:
        train, test = split
        table = np.concatenate([experiment.crafted(train), convnet], axis=1)
        for levels in SUBSETS:
            for title, model in models.items():
                chosen = table.select(levels)
                maps = experiment.run(model, chosen, split, "all subsets")
                score = measure(pick(experiment.masks, test), maps)
                name = "+".join(levels)
                scores.setdefault(name, {}).setdefault(title, []).append(score)
                print_row(f"{title}, {name}", score)
        del table
    print("\npixel accuracy, class accuracy and mean IoU, mean of the folds above")
    print(f"{'':34s}" + "".join(f"{title:>24s}" for title in models))
    for name, of_models in scores.items():
        means = [np.mean(of_folds, axis=0) for of_folds in of_models.values()]
        cells = ["{:12.1f}{:6.1f}{:6.1f}".format(*mean) for mean in means]
        print(f"{name:34s}" + "".join(cells))


def main():
    args = parse_arguments()
    print_setup(args)
    data = fetch_stanford_background()
    chosen = draw_positions(args, len(data.images))
    images, masks = pick(data.images, chosen), pick(data.masks, chosen)
    experiment = StanfordBackground(args, images, masks)
    folds = KFold(args.folds, shuffle=True, random_state=args.seed)
    splits = list(folds.split(images))[: args.run_folds]
    if args.ablation:
        ablate(experiment, splits)
    else:
        cross_validate(experiment, splits, data.class_names)
    experiment.print_cost(len(images), len(splits))


if __name__ == "__main__":
    main()
