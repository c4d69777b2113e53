"""Accuracy and seconds of training against the number of annotated images.

The data is Stanford Background. The test images are always those of the first fold of
``KFold(5, shuffle=True, random_state=0)``, as in stanford_background.py, or the first N
of them with ``--test-images N``. A draw of n images is the first n of a random order of
the other images. All methods get the same draws, and a larger draw contains the smaller
ones.

    python benchmarks/few_images.py --results results.jsonl --plot few_images.png
    python benchmarks/few_images.py --backbone zoomnet mobilenet_edgetpu_100
    python benchmarks/few_images.py --methods levels --levels maps --sizes 5 10

Four methods, each set up as a competent user would without a GPU:

- levels: the library's pipelines, one for each ``--levels``; distant+global+maps is its
  preset "fast". The paper's four levels have 512 hidden units, trained slowly;
- fine-tuned: the preset "fast" with a fine-tuned backbone,
  ``Backbone(fine_tune=True)``;
- forest: scikit-image's multiscale features of sampled pixels and a random forest, as
  in scikit-image's example of trainable segmentation (_forest.py);
- fcn: the same backbone, fine-tuned end to end as an FCN-8s (_fcn.py).

The seconds are those from photographs to a model that can predict. Superpixels and
convnet features do not depend on the draw and are computed once. Their seconds per
image, a mean over all images, count for every training image. The rest is measured in
each run: the local and proximal levels, whose dictionaries are fitted on the draw, the
features of the forest, and all training.

With ``--results FILE`` every run is appended to a file when it is done, and runs that
the file already has are not repeated. The data and weights are found as for
stanford_background.py.
"""

import argparse
import os
import time
import warnings
from functools import cache, cached_property, partial
from pathlib import Path

import numpy as np
from _common import LEVELS, PAPER_TRAINING, default_options, make_parser, measure, pick
from _experiment import Experiment
from _fcn import predict_fcn, train_fcn
from _forest import predict_forest, train_forest
from _runs import Results, plot, print_table, show_scores, show_seconds
from sklearn.model_selection import KFold

from sklearn_zoomout import (
    Backbone,
    FineTuning,
    LocalFeatures,
    ProximalFeatures,
    ZoomoutClassifier,
    zoomout_pipeline,
)
from sklearn_zoomout.datasets import fetch_stanford_background
from sklearn_zoomout.exceptions import AbsentClassWarning
from sklearn_zoomout.pipeline import PRESETS

CLASSES = range(8)
ALL_LEVELS = (*LEVELS, "maps")
CRAFTED = {"local": LocalFeatures, "proximal": ProximalFeatures}
#: Draws of up to so many images are repeated --draws times, and others --draws-large.
SMALL = 50


def parse_arguments():
    parser = make_parser(__doc__)
    parser.add_argument(
        "--sizes",
        nargs="+",
        default=["5", "10", "20", "50", "100", "300", "all"],
        help='numbers of annotated images; "all" is all except the test images',
    )
    parser.add_argument(
        "--draws", type=int, default=5, help=f"draws of up to {SMALL} images"
    )
    parser.add_argument(
        "--draws-large", type=int, default=1, help="draws of more images"
    )
    parser.add_argument("--test-images", type=int, metavar="N", help="default: all")
    methods = ["levels", "fine-tuned", "forest", "fcn"]
    parser.add_argument("--methods", nargs="+", default=methods, choices=methods)
    parser.add_argument(
        "--levels",
        nargs="+",
        type=parse_levels,
        default=[
            ("maps",),
            ("distant", "maps"),
            ("distant", "global", "maps"),
            ("local", "distant", "global", "maps"),
            LEVELS,
        ],
        metavar="LEVEL+LEVEL",
        help="sets of levels, each with its own row, such as distant+maps",
    )
    parser.add_argument("--backbone", nargs="+", default=["zoomnet"])
    parser.add_argument(
        "--epochs", type=int, help="training epochs of the pipelines' classifier"
    )
    parser.add_argument(
        "--tuning-steps", type=int, help="training steps of fine-tuned backbones"
    )
    parser.add_argument(
        "--fcn-steps", type=int, default=400, help="least number of steps of 4 images"
    )
    parser.add_argument(
        "--seed", type=int, default=0, help="seed of draws and training"
    )
    parser.add_argument("--n-jobs", type=int, default=os.cpu_count())
    parser.add_argument(
        "--results", type=Path, help="JSON lines of all runs, to resume from"
    )
    parser.add_argument("--plot", type=Path, help="draw accuracy against images")
    return parser.parse_args()


def parse_levels(text):
    chosen = text.split("+")
    unknown = set(chosen) - set(ALL_LEVELS)
    if unknown:
        raise argparse.ArgumentTypeError(f"{unknown} are none of {ALL_LEVELS}")
    return tuple(level for level in ALL_LEVELS if level in chosen)


class Frozen:
    """Superpixels and convnet levels of all images, computed when first needed."""

    def __init__(self, images, n_jobs):
        self.images, self.n_jobs = images, n_jobs
        self.experiment = Experiment(default_options(n_jobs=n_jobs, maps=[]))
        self.table = cache(self._table)

    @cached_property
    def superpixels(self):
        print("superpixels of all images", flush=True)
        return self.experiment.segment(self.images)

    def _table(self, backbone):
        print(f"convnet features of all images, {backbone}", flush=True)
        return self.experiment.describe_convnet(backbone, self.superpixels)

    def seconds_per_image(self, levels, backbone):
        """Return the seconds of superpixels and of some levels of an image."""
        stages = ["superpixels", *(f"{level}, {backbone}" for level in levels)]
        seconds = self.experiment.stopwatch.seconds
        return sum(seconds[stage] for stage in stages) / len(self.images)


class Levels:
    """The library's pipeline, which computes only what depends on the draw."""

    def __init__(self, levels, backbone, frozen, max_epochs):
        self.crafted = [level for level in levels if level in CRAFTED]
        self.convnet = [level for level in levels if level not in CRAFTED]
        self.backbone, self.frozen = backbone, frozen
        title = "four levels" if levels == LEVELS else " + ".join(levels)
        self.name = f"{title}, {backbone}" if self.convnet else title
        self.setting = {"max_epochs": max_epochs}
        if levels == LEVELS:
            self.setting |= PAPER_TRAINING | {"hidden_units": 512}

    def classifier(self, seed):
        params = {k: v for k, v in self.setting.items() if k != "tuning_steps"}
        if "hidden_units" in params:
            params["hidden_units"] = (params["hidden_units"],)
        return ZoomoutClassifier(classes=CLASSES, random_state=seed, **params)

    def run(self, train, test, masks, seed):
        """Train and predict; return label maps of ``test`` and seconds of training."""
        self._tables(train)  # not measured: what does not depend on the draw
        options = {"n_jobs": self.frozen.n_jobs, "random_state": seed}
        crafted = [CRAFTED[level](**options) for level in self.crafted]
        superpixels = self.frozen.superpixels
        start = time.perf_counter()
        tables = [level.fit_transform(superpixels[train]) for level in crafted]
        table = np.concatenate(tables + self._tables(train), axis=1)
        model = self.classifier(seed).fit(table, pick(masks, train))
        seconds = time.perf_counter() - start
        seconds += len(train) * self.frozen.seconds_per_image(
            self.convnet, self.backbone
        )
        tables = [level.transform(superpixels[test]) for level in crafted]
        table = np.concatenate(tables + self._tables(test), axis=1)
        return model.predict(table), seconds

    def _tables(self, images):
        if not self.convnet:
            return []
        return [self.frozen.table(self.backbone).select(self.convnet)[images]]


class FineTuned(Levels):
    """All levels of a network that is trained on the draw."""

    def __init__(self, backbone, frozen, max_epochs, steps):
        super().__init__(PRESETS["fast"].levels, backbone, frozen, max_epochs)
        self.name += ", fine-tuned"
        self.setting["tuning_steps"] = steps

    def run(self, train, test, masks, seed):
        """Train and predict; return label maps of ``test`` and seconds of training."""
        superpixels = self.frozen.superpixels
        backbone = Backbone(
            self.backbone,
            fine_tune=FineTuning(self.setting["tuning_steps"]),
            random_state=seed,
        )
        pipeline = zoomout_pipeline(backbone=backbone, n_jobs=self.frozen.n_jobs)
        levels, masks = pipeline["zoomout"], pick(masks, train)
        start = time.perf_counter()
        table = levels.fit_transform(superpixels[train], masks)
        model = self.classifier(seed).fit(table, masks)
        seconds = time.perf_counter() - start
        seconds += len(train) * self.frozen.seconds_per_image([], self.backbone)
        return model.predict(levels.transform(superpixels[test])), seconds


class Rival:
    """A method that learns from images and masks without the library."""

    def __init__(self, name, images, train, predict, **setting):
        self.name, self.images, self.setting = name, images, setting
        self._train = partial(train, **setting)
        self._predict = predict

    def run(self, train, test, masks, seed):
        """Train and predict; return label maps of ``test`` and seconds of training."""
        start = time.perf_counter()
        model = self._train(pick(self.images, train), pick(masks, train), seed=seed)
        seconds = time.perf_counter() - start
        return self._predict(model, pick(self.images, test)), seconds


def make_methods(args, images):
    methods = []
    frozen = Frozen(images, args.n_jobs)
    if "levels" in args.methods:
        for backbone in args.backbone:
            methods += [
                Levels(levels, backbone, frozen, args.epochs) for levels in args.levels
            ]
    if "fine-tuned" in args.methods:
        options = frozen, args.epochs, args.tuning_steps
        methods += [FineTuned(name, *options) for name in args.backbone]
    if "forest" in args.methods:
        train = partial(train_forest, n_jobs=args.n_jobs)
        methods.append(
            Rival("multiscale features + forest", images, train, predict_forest)
        )
    if "fcn" in args.methods:
        for backbone in args.backbone:
            train = partial(train_fcn, backbone, n_classes=len(CLASSES))
            name = f"FCN-8s fine-tuned, {backbone}"
            options = {"least_steps": args.fcn_steps}
            methods.append(Rival(name, images, train, predict_fcn, **options))
    return methods


def run_all(args, methods, masks, train, test, results):
    """Return the records of all draws by (method, number of images)."""
    wanted = {len(train) if s == "all" else int(s) for s in args.sizes}
    cells = {}
    for size in sorted({min(size, len(train)) for size in wanted}):
        for draw in range(args.draws if size <= SMALL else args.draws_large):
            seed = args.seed + draw
            drawn = np.random.RandomState(seed).permutation(train)[:size]
            for method in methods:
                run = {"method": method.name, "images": size, "seed": seed}
                run |= {"test_images": len(test), **method.setting}
                record = results.find(run)
                if record is None:
                    maps, seconds = method.run(drawn, test, masks, seed)
                    scores = measure(pick(masks, test), maps).tolist()
                    record = results.add(run, scores, seconds)
                print(
                    f"{method.name}, {size} images, draw {draw + 1}: "
                    f"{show_scores([record])}, {record['seconds']:.1f} s",
                    flush=True,
                )
                cells.setdefault((method.name, size), []).append(record)
    return cells


def main():
    args = parse_arguments()
    # Some draws of a few images lack a class.
    warnings.simplefilter("ignore", AbsentClassWarning)
    data = fetch_stanford_background()
    folds = KFold(5, shuffle=True, random_state=0)
    train, test = next(folds.split(data.images))
    chosen = np.concatenate([train, test[: args.test_images]])
    images, masks = pick(data.images, chosen), pick(data.masks, chosen)
    train, test = np.split(np.arange(len(chosen)), [len(train)])
    print(f"{len(train)} images to draw from, {len(test)} test images", flush=True)
    methods = make_methods(args, images)
    cells = run_all(args, methods, masks, train, test, Results(args.results))
    measures = "pixel accuracy / class accuracy / mean IoU"
    print_table(f"{measures} in percent, on {len(test)} images", cells, show_scores)
    print_table("seconds of training", cells, show_seconds)
    if args.plot:
        plot(cells, [m.name for m in methods if isinstance(m, Rival)], args.plot)


if __name__ == "__main__":
    main()
