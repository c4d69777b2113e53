"""What is gained by going beyond the preset "fast", one ingredient at a time.

Stanford Background, the folds of stanford_background.py. The base is the preset "fast"
with the backbone that is asked for: distant and global level and maps averaged over
superpixels, 512 hidden units. Every variant differs from it in one thing:

- hidden-128, hidden-1024: other widths of the hidden layer;
- weight-0.5, weight-0: ``class_weight`` between those of equation (2) and of the
  symmetric loss, and those of the symmetric loss;
- local: the hand-crafted local level besides;
- radius-1, radius-6: the boxes of another graph distance besides;
- maps-960: maps of the image at 960 pixels of its longer side besides;
- input-480, input-960: the network sees the image at these sizes instead of 640;
- last-maps: of the network's maps only those that the distant level looks at;
- flip: maps are averages of the image's and of its mirror image's;
- mirrored: the mirror images of the training images are learned from besides;
- segments-1000: twice as many superpixels;
- smoothed, islands: cleaned up by `GraphSmoothing` or `IslandRemoval`;
- second-backbone: the levels of --second, another backbone, besides;
- fine-tuned: the backbone is trained on the training images of the fold (`FineTuning`);
- fine-tuned-maps: only the maps are those of the trained backbone;
- fine-tuned-besides: all levels of the trained backbone besides.

    python benchmarks/ingredients.py --backbone mobilenet_edgetpu_100 --run-folds 3
    python benchmarks/ingredients.py --variants flip smoothed

Flips, 1,000 superpixels and smoothing together are measured by stanford_background.py
with ``--flip --n-segments 1000 --rows smoothed``.

For every variant it prints the measures of each fold and, over the folds, the mean and
standard deviation of the difference from the base. The data and weights are found as
for stanford_background.py.
"""

import argparse
import os

import numpy as np
from _common import measure, print_header, print_row, print_setup
from sklearn.model_selection import KFold

from sklearn_zoomout import (
    ConvnetRegionFeatures,
    ConvnetSuperpixelFeatures,
    FineTuning,
    GraphSmoothing,
    IslandRemoval,
    LocalFeatures,
    SuperpixelSegmenter,
    ZoomoutClassifier,
)
from sklearn_zoomout.backbones._names import find_backbone
from sklearn_zoomout.datasets import fetch_stanford_background
from sklearn_zoomout.pipeline import PRESETS, zoomout_pipeline

HIDDEN = PRESETS["fast"].hidden_units
CONVNET_LEVELS = PRESETS["fast"].levels


class Experiment:
    """The data, the base's features, and a method for every kind of variant."""

    def __init__(self, args, data):
        self.args, self.images, self.masks = args, data.images, data.masks
        segmenter = SuperpixelSegmenter(n_jobs=args.n_jobs)
        self.superpixels = segmenter.transform(data.images)
        self.base = self.describe(self.superpixels, args.backbone)
        self.fine_tuned_of_fold = {}

    def describe(self, superpixels, backbone, layers="all", **options):
        """Compute distant, global and maps level, as the preset does."""
        levels = zoomout_pipeline(
            backbone=backbone, n_jobs=self.args.n_jobs, **options
        )["zoomout"]
        levels.set_params(maps__layers=layers)
        return levels.fit_transform(superpixels)

    def classifier(self, hidden=HIDDEN, **options):
        return ZoomoutClassifier(
            hidden,
            max_epochs=self.args.epochs,
            random_state=self.args.seed,
            **options,
        )

    def evaluate(self, table, split, model=None):
        """Train on a fold's training images, and measure on its others."""
        train, test = split
        model = self.classifier() if model is None else model
        model.fit(table[train], [self.masks[i] for i in train])
        return measure([self.masks[i] for i in test], model.predict(table[test]))

    def beside_base(self, level):
        """Evaluate the base with one more level."""
        table = np.concatenate([self.base, level.fit_transform(self.superpixels)], 1)
        return lambda split: self.evaluate(table, split)

    def with_model(self, model):
        return lambda split: self.evaluate(self.base, split, model)

    def with_table(self, table):
        return lambda split: self.evaluate(table, split)

    def local(self):
        def run(split):
            level = LocalFeatures(random_state=self.args.seed, n_jobs=self.args.n_jobs)
            level.fit(self.superpixels[split[0]])
            table = level.transform(self.superpixels)
            return self.evaluate(np.concatenate([self.base, table], axis=1), split)

        return run

    def described(self, **options):
        """Evaluate the base's levels, described in another way."""
        table = self.describe(self.superpixels, self.args.backbone, **options)
        return self.with_table(table)

    def mirrored(self):
        segmenter = SuperpixelSegmenter(n_jobs=self.args.n_jobs)
        mirror_images = [image[:, ::-1] for image in self.images]
        superpixels = segmenter.transform([*self.images, *mirror_images])
        table = self.describe(superpixels, self.args.backbone)

        def run(split):
            train, test = split
            model, n = self.classifier(), len(self.images)
            masks = [self.masks[i] for i in train]
            masks += [mask[:, ::-1] for mask in masks]
            model.fit(table[np.concatenate([train, train + n])], masks)
            return measure([self.masks[i] for i in test], model.predict(table[test]))

        return run

    def finer(self, n_segments):
        segmenter = SuperpixelSegmenter(n_segments, n_jobs=self.args.n_jobs)
        superpixels = segmenter.transform(self.images)
        return self.with_table(self.describe(superpixels, self.args.backbone))

    def second(self):
        second = self.describe(self.superpixels, self.args.second)
        return self.with_table(np.concatenate([self.base, second], axis=1))

    def fine_tuned(self, tuned=CONVNET_LEVELS, frozen=()):
        """Evaluate levels of the trained network, and others of the base."""

        def run(split):
            table = self.describe_fine_tuned(split[0]).select(tuned)
            if frozen:
                table = np.concatenate([self.base.select(frozen), table], axis=1)
            return self.evaluate(table, split)

        return run

    def describe_fine_tuned(self, train):
        """Describe all images by a network that is trained once for all variants."""
        key = train.tobytes()
        if key not in self.fine_tuned_of_fold:
            levels = zoomout_pipeline(
                backbone=self.args.backbone,
                fine_tune=FineTuning(
                    self.args.tuning_steps, random_state=self.args.seed
                ),
                n_jobs=self.args.n_jobs,
            )["zoomout"]
            levels.fit(self.superpixels[train], [self.masks[i] for i in train])
            self.fine_tuned_of_fold[key] = levels
        return self.fine_tuned_of_fold[key].transform(self.superpixels)


VARIANTS = {
    "hidden-128": lambda e: e.with_model(e.classifier((128,))),
    "hidden-1024": lambda e: e.with_model(e.classifier((1024,))),
    "weight-0.5": lambda e: e.with_model(e.classifier(class_weight=0.5)),
    "weight-0": lambda e: e.with_model(e.classifier(class_weight=None)),
    "local": Experiment.local,
    "radius-1": lambda e: e.beside_base(
        ConvnetRegionFeatures(e.args.backbone, radius=1)
    ),
    "radius-6": lambda e: e.beside_base(
        ConvnetRegionFeatures(e.args.backbone, radius=6)
    ),
    "maps-960": lambda e: e.beside_base(
        ConvnetSuperpixelFeatures(e.args.backbone, input_size=960)
    ),
    "input-480": lambda e: e.described(input_size=480),
    "input-960": lambda e: e.described(input_size=960),
    "last-maps": lambda e: e.described(layers=find_backbone(e.args.backbone).maps),
    "flip": lambda e: e.described(flip=True),
    "mirrored": Experiment.mirrored,
    "segments-1000": lambda e: e.finer(1000),
    "smoothed": lambda e: e.with_model(GraphSmoothing(e.classifier())),
    "islands": lambda e: e.with_model(IslandRemoval(e.classifier())),
    "second-backbone": Experiment.second,
    "fine-tuned": Experiment.fine_tuned,
    "fine-tuned-maps": lambda e: e.fine_tuned(["maps"], ["distant", "global"]),
    "fine-tuned-besides": lambda e: e.fine_tuned(frozen=CONVNET_LEVELS),
}


def parse_arguments():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--backbone", default="zoomnet")
    parser.add_argument("--second", default="squeezenet1_0")
    parser.add_argument(
        "--variants", nargs="+", choices=list(VARIANTS), default=list(VARIANTS)
    )
    parser.add_argument("--folds", type=int, default=5)
    parser.add_argument("--run-folds", type=int, help="only the first N of the folds")
    parser.add_argument("--images", type=int, help="use the first N images")
    parser.add_argument("--epochs", type=int, help="of the classifier")
    parser.add_argument("--tuning-steps", type=int, help="of the backbone")
    parser.add_argument("--seed", type=int, default=0, help="of folds and training")
    parser.add_argument("--n-jobs", type=int, default=os.cpu_count())
    return parser.parse_args()


def run_variant(name, evaluate, splits):
    scores = []
    for fold, split in enumerate(splits):
        scores.append(evaluate(split))
        print_row(f"{name}, fold {fold + 1}", scores[-1])
    return np.array(scores)


def main():
    args = parse_arguments()
    print_setup(args)
    data = fetch_stanford_background()
    data.images, data.masks = data.images[: args.images], data.masks[: args.images]
    folds = KFold(args.folds, shuffle=True, random_state=args.seed)
    splits = list(folds.split(data.images))[: args.run_folds]
    experiment = Experiment(args, data)
    print_header()
    base = run_variant("base", experiment.with_table(experiment.base), splits)
    gains = {}
    for name in args.variants:
        scores = run_variant(name, VARIANTS[name](experiment), splits)
        gains[name] = scores - base
    print(f"\ndifference from the base, mean and deviation of {len(splits)} folds")
    print_row("base", base.mean(axis=0))
    for name, gain in gains.items():
        deviation = gain.std(axis=0, ddof=1) if len(gain) > 1 else np.full(3, np.nan)
        cells = zip(gain.mean(axis=0), deviation, strict=True)
        print(f"{name:20s}" + "".join(f"{g:+8.2f} ± {d:.2f}" for g, d in cells))


if __name__ == "__main__":
    main()
