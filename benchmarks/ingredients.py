"""How much each ingredient beyond the preset "fast" adds, one at a time.

The data is Stanford Background, with the folds of stanford_background.py. The base is
the preset "fast" with the --backbone: distant level, global level, feature maps
averaged over superpixels, and 512 hidden units. Every variant differs from the base in
one thing:

- hidden-128, hidden-1024: other widths of the hidden layer;
- weight-0.5, weight-0: ``class_weight=0.5`` and ``class_weight=None``, the symmetric
  loss;
- local: the hand-crafted local level in addition;
- radius-1, radius-6: the boxes of another graph distance in addition;
- maps-960: maps of the image resized to 960 pixels in addition;
- input-480, input-960: an ``input_size`` of 480 and 960 instead of 640;
- last-maps: of the feature maps only those that the distant level reads;
- flip: feature maps averaged with those of the mirror image;
- mirrored: the mirror images of the training images in addition, for training;
- segments-1000: twice as many superpixels;
- smoothed, islands: predictions cleaned up by `GraphSmoothing` or `IslandRemoval`;
- second-backbone: the levels of --second, another backbone, in addition;
- fine-tuned: the backbone trained on the training images of the fold (`FineTuning`);
- fine-tuned-maps: only the maps level uses the trained backbone;
- fine-tuned-besides: all levels of the trained backbone in addition.

    python benchmarks/ingredients.py --backbone mobilenet_edgetpu_100 --run-folds 3
    python benchmarks/ingredients.py --variants flip smoothed

Mirror images, 1,000 superpixels and smoothing together are measured by
stanford_background.py with ``--flip --n-segments 1000 --rows smoothed``.

For every variant it prints the measures of each fold and, over the folds, the mean and
standard deviation of the difference from the base. The data and weights are found as
for stanford_background.py.
"""

import os

import numpy as np
from _common import (
    make_parser,
    measure,
    pick,
    print_header,
    print_row,
    print_setup,
)
from sklearn.model_selection import KFold

from sklearn_zoomout import (
    Backbone,
    ConvnetRegionFeatures,
    ConvnetSuperpixelFeatures,
    FineTuning,
    GraphSmoothing,
    IslandRemoval,
    LocalFeatures,
    SuperpixelSegmenter,
    ZoomoutClassifier,
    zoomout_pipeline,
)
from sklearn_zoomout.backbones import load_network
from sklearn_zoomout.datasets import fetch_stanford_background
from sklearn_zoomout.pipeline import PRESETS

HIDDEN = (512,)
CONVNET_LEVELS = PRESETS["fast"].levels


class Ingredients:
    """The data, the features of the base, and a method for every kind of variant.

    These methods return a function that measures the variant on a fold.
    """

    def __init__(self, args, data):
        self.args, self.images, self.masks = args, data.images, data.masks
        self.superpixels = self.segment(data.images)
        self.base = self.describe(self.superpixels)
        self._levels_of_fold = {}

    def segment(self, images, **options):
        return SuperpixelSegmenter(n_jobs=self.args.n_jobs, **options).transform(images)

    def levels(self, name=None, *, layers="all", input_size=640, **options):
        """Return the levels of the preset with --backbone or another network."""
        levels = zoomout_pipeline(
            backbone=Backbone(name or self.args.backbone, **options),
            input_size=input_size,
            n_jobs=self.args.n_jobs,
        )["zoomout"]
        return levels.set_params(maps__layers=layers)

    def describe(self, superpixels, name=None, **options):
        """Compute the levels of the preset, which learn nothing."""
        return self.levels(name, **options).fit_transform(superpixels)

    def classifier(self, hidden=HIDDEN, **options):
        return ZoomoutClassifier(
            hidden,
            max_epochs=self.args.epochs,
            random_state=self.args.seed,
            **options,
        )

    def evaluate(self, table, split, model=None):
        """Train on the training images of a fold, and measure on the others."""
        train, test = split
        model = self.classifier() if model is None else model
        model.fit(table[train], pick(self.masks, train))
        return measure(pick(self.masks, test), model.predict(table[test]))

    def with_base(self, *tables):
        """Evaluate the base and tables of other features, side by side."""
        return self.with_table(np.concatenate([self.base, *tables], axis=1))

    def with_level(self, level):
        """Evaluate the base and one more level."""
        return self.with_base(level.fit_transform(self.superpixels))

    def with_model(self, model):
        return lambda split: self.evaluate(self.base, split, model)

    def with_table(self, table):
        return lambda split: self.evaluate(table, split)

    def local(self):
        def run(split):
            level = LocalFeatures(random_state=self.args.seed, n_jobs=self.args.n_jobs)
            level.fit(self.superpixels[split[0]])
            return self.with_base(level.transform(self.superpixels))(split)

        return run

    def described(self, **options):
        """Evaluate the levels of the base with other options."""
        return self.with_table(self.describe(self.superpixels, **options))

    def last_maps(self):
        """Evaluate the base with the maps of the distant level in the maps level."""
        network = load_network(Backbone(self.args.backbone))
        return self.described(layers=network.taps().layers)

    def mirrored(self):
        mirror_images = [image[:, ::-1] for image in self.images]
        table = self.describe(self.segment([*self.images, *mirror_images]))

        def run(split):
            train, test = split
            model, n = self.classifier(), len(self.images)
            masks = pick(self.masks, train)
            masks += [mask[:, ::-1] for mask in masks]
            model.fit(table[np.concatenate([train, train + n])], masks)
            return measure(pick(self.masks, test), model.predict(table[test]))

        return run

    def finer(self, n_segments):
        superpixels = self.segment(self.images, n_segments=n_segments)
        return self.with_table(self.describe(superpixels))

    def second(self):
        return self.with_base(self.describe(self.superpixels, self.args.second))

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
        if key not in self._levels_of_fold:
            levels = self.levels(
                fine_tune=FineTuning(self.args.tuning_steps),
                random_state=self.args.seed,
            )
            levels.fit(self.superpixels[train], pick(self.masks, train))
            self._levels_of_fold[key] = levels
        return self._levels_of_fold[key].transform(self.superpixels)


VARIANTS = {
    "hidden-128": lambda i: i.with_model(i.classifier((128,))),
    "hidden-1024": lambda i: i.with_model(i.classifier((1024,))),
    "weight-0.5": lambda i: i.with_model(i.classifier(class_weight=0.5)),
    "weight-0": lambda i: i.with_model(i.classifier(class_weight=None)),
    "local": Ingredients.local,
    "radius-1": lambda i: i.with_level(
        ConvnetRegionFeatures(i.args.backbone, radius=1)
    ),
    "radius-6": lambda i: i.with_level(
        ConvnetRegionFeatures(i.args.backbone, radius=6)
    ),
    "maps-960": lambda i: i.with_level(
        ConvnetSuperpixelFeatures(i.args.backbone, input_size=960)
    ),
    "input-480": lambda i: i.described(input_size=480),
    "input-960": lambda i: i.described(input_size=960),
    "last-maps": Ingredients.last_maps,
    "flip": lambda i: i.described(flip=True),
    "mirrored": Ingredients.mirrored,
    "segments-1000": lambda i: i.finer(1000),
    "smoothed": lambda i: i.with_model(GraphSmoothing(i.classifier())),
    "islands": lambda i: i.with_model(IslandRemoval(i.classifier())),
    "second-backbone": Ingredients.second,
    "fine-tuned": Ingredients.fine_tuned,
    "fine-tuned-maps": lambda i: i.fine_tuned(["maps"], ["distant", "global"]),
    "fine-tuned-besides": lambda i: i.fine_tuned(frozen=CONVNET_LEVELS),
}


def parse_arguments():
    parser = make_parser(__doc__)
    parser.add_argument("--backbone", default="zoomnet")
    parser.add_argument("--second", default="squeezenet1_0")
    parser.add_argument(
        "--variants", nargs="+", choices=list(VARIANTS), default=list(VARIANTS)
    )
    parser.add_argument("--folds", type=int, default=5)
    parser.add_argument("--run-folds", type=int, help="run the first N folds only")
    parser.add_argument("--images", type=int, help="use the first N images")
    parser.add_argument("--epochs", type=int, help="training epochs of the classifier")
    parser.add_argument(
        "--tuning-steps", type=int, help="training steps of fine-tuned backbones"
    )
    parser.add_argument(
        "--seed", type=int, default=0, help="seed of folds and training"
    )
    parser.add_argument("--n-jobs", type=int, default=os.cpu_count())
    return parser.parse_args()


def run_variant(name, evaluate, splits):
    """Print and return the measures of every fold."""
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
    ingredients = Ingredients(args, data)
    print_header()
    base = run_variant("base", ingredients.with_table(ingredients.base), splits)
    gains = {}
    for name in args.variants:
        scores = run_variant(name, VARIANTS[name](ingredients), splits)
        gains[name] = scores - base
    print(f"\ndifference from the base, mean and deviation of {len(splits)} folds")
    print_row("base", base.mean(axis=0))
    for name, gain in gains.items():
        deviation = gain.std(axis=0, ddof=1) if len(gain) > 1 else np.full(3, np.nan)
        cells = zip(gain.mean(axis=0), deviation, strict=True)
        print(f"{name:20s}" + "".join(f"{g:+8.2f} ± {d:.2f}" for g, d in cells))


if __name__ == "__main__":
    main()
