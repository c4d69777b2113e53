"""Accuracy and seconds of training against the number of annotated images.

Stanford Background. The test images are always the same: the first fold of
``KFold(5, shuffle=True, random_state=0)``, as in stanford_background.py, or only the
first N of them with ``--test-images N``. A draw of n images is the first n of a random
order of the other images: all methods get the same, and a larger draw contains the
smaller.

    python benchmarks/few_images.py --results results.jsonl --plot few_images.png
    python benchmarks/few_images.py --backbone zoomnet mobilenet_edgetpu_100
    python benchmarks/few_images.py --methods levels --levels maps --sizes 5 10

Four ways of learning, each as a competent user would set it up without a GPU:

- levels: the library's pipelines with 512 hidden units, one for each ``--levels``;
  distant+global+maps is its preset "fast".
- fine-tuned: the preset "fast" with ``fine_tune=True``.
- forest: scikit-image's multiscale features of sampled pixels and a random forest, as
  in scikit-image's example of trainable segmentation (_forest.py).
- fcn: the same backbone, fine-tuned end to end as an FCN-8s (_fcn.py).

Seconds are those of training, from photographs to a model that can predict. Superpixels
and convnet features do not depend on the draw and are computed once: their seconds per
image, a mean over all images, count for every training image. The local and proximal
levels, whose dictionaries are fitted on each draw, the forest's features and all fits
are measured in each run.

With ``--results FILE`` every run is appended to a file as soon as it is done, and what
the file already has is not run again. The data and weights are found as for
stanford_background.py.
"""

import argparse
import json
import os
import time
import warnings
from functools import cache, cached_property, partial
from pathlib import Path

import numpy as np
from _common import LEVELS, Stopwatch, describe_convnet, measure
from _fcn import predict_fcn, train_fcn
from _forest import predict_forest, train_forest
from sklearn.model_selection import KFold

from sklearn_zoomout import (
    FineTuning,
    LocalFeatures,
    ProximalFeatures,
    SuperpixelSegmenter,
    ZoomoutClassifier,
)
from sklearn_zoomout.datasets import fetch_stanford_background
from sklearn_zoomout.exceptions import AbsentClassWarning
from sklearn_zoomout.pipeline import PRESETS, zoomout_pipeline

CLASSES = range(8)
ALL_LEVELS = (*LEVELS, "maps")
CRAFTED = {"local": LocalFeatures, "proximal": ProximalFeatures}
#: What --draws counts; draws of more images are few and large.
SMALL = 50


def parse_arguments():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--sizes",
        nargs="+",
        default=["5", "10", "20", "50", "100", "300", "all"],
        help='numbers of annotated images; "all" are all that are not tested on',
    )
    parser.add_argument("--draws", type=int, default=5, help=f"of up to {SMALL} images")
    parser.add_argument("--draws-large", type=int, default=1, help="of more images")
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
        help="a row for each, such as distant+maps",
    )
    parser.add_argument("--backbone", nargs="+", default=["zoomnet"])
    parser.add_argument("--epochs", type=int, help="of the pipelines' classifier")
    parser.add_argument("--tuning-steps", type=int, help="of fine-tuned pipelines")
    parser.add_argument(
        "--fcn-steps", type=int, default=400, help="least number of steps of 4 images"
    )
    parser.add_argument("--seed", type=int, default=0, help="of draws and training")
    parser.add_argument("--n-jobs", type=int, default=os.cpu_count())
    parser.add_argument("--results", type=Path, help="JSON lines: written, and resumed")
    parser.add_argument("--plot", type=Path, help="draw accuracy against images")
    return parser.parse_args()


def parse_levels(text):
    chosen = text.split("+")
    unknown = set(chosen) - set(ALL_LEVELS)
    if unknown:
        raise argparse.ArgumentTypeError(f"{unknown} are none of {ALL_LEVELS}")
    return tuple(level for level in ALL_LEVELS if level in chosen)


class Frozen:
    """Superpixels and convnet levels of all images, computed when first asked for."""

    def __init__(self, images, n_jobs):
        self.images, self.n_jobs = images, n_jobs
        self.stopwatch = Stopwatch()
        self.table = cache(self._table)

    @cached_property
    def superpixels(self):
        print("superpixels of all images", flush=True)
        with self.stopwatch("superpixels"):
            return SuperpixelSegmenter(n_jobs=self.n_jobs).transform(self.images)

    def _table(self, backbone):
        print(f"convnet features of all images, {backbone}", flush=True)
        options = argparse.Namespace(
            **{"input_size": 640, "pooling": "roi", "maps": [], "flip": False},
            **{"dtype": "float32", "device": "cpu", "verbose": 0},
        )
        return describe_convnet(options, backbone, self.superpixels, self.stopwatch)

    def seconds_per_image(self, levels, backbone):
        stages = ["superpixels", *(f"{level}, {backbone}" for level in levels)]
        return sum(self.stopwatch.seconds[s] for s in stages) / len(self.images)


class Levels:
    """The library's pipeline, cut at what does not depend on the draw."""

    def __init__(self, levels, backbone, frozen, max_epochs):
        self.crafted = [level for level in levels if level in CRAFTED]
        self.convnet = [level for level in levels if level not in CRAFTED]
        self.backbone, self.frozen = backbone, frozen
        title = "four levels" if levels == LEVELS else " + ".join(levels)
        self.name = f"{title}, {backbone}" if self.convnet else title
        self.setting = {"max_epochs": max_epochs}

    def classifier(self, seed):
        return ZoomoutClassifier(
            PRESETS["fast"].hidden_units,
            classes=CLASSES,
            max_epochs=self.setting["max_epochs"],
            random_state=seed,
        )

    def run(self, train, test, masks, seed):
        """Train and predict; give label maps of ``test`` and seconds of training."""
        self._tables(train)  # computes what is frozen, apart from the time of this run
        options = {"n_jobs": self.frozen.n_jobs, "random_state": seed}
        crafted = [CRAFTED[level](**options) for level in self.crafted]
        superpixels = self.frozen.superpixels
        start = time.perf_counter()
        tables = [level.fit_transform(superpixels[train]) for level in crafted]
        table = np.concatenate(tables + self._tables(train), axis=1)
        model = self.classifier(seed).fit(table, [masks[i] for i in train])
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
        """Train and predict; give label maps of ``test`` and seconds of training."""
        superpixels = self.frozen.superpixels
        levels = zoomout_pipeline(
            backbone=self.backbone,
            fine_tune=FineTuning(self.setting["tuning_steps"], random_state=seed),
            n_jobs=self.frozen.n_jobs,
        )["zoomout"]
        masks = [masks[i] for i in train]
        start = time.perf_counter()
        table = levels.fit_transform(superpixels[train], masks)
        model = self.classifier(seed).fit(table, masks)
        seconds = time.perf_counter() - start
        seconds += len(train) * self.frozen.seconds_per_image([], self.backbone)
        return model.predict(levels.transform(superpixels[test])), seconds


class Rival:
    """What learns from images and masks without the library."""

    def __init__(self, name, images, train, predict, **setting):
        self.name, self.images, self.setting = name, images, setting
        self._train = partial(train, **setting)
        self._predict = predict

    def run(self, train, test, masks, seed):
        """Train and predict; give label maps of ``test`` and seconds of training."""
        start = time.perf_counter()
        model = self._train(
            [self.images[i] for i in train], [masks[i] for i in train], seed=seed
        )
        seconds = time.perf_counter() - start
        return self._predict(model, [self.images[i] for i in test]), seconds


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


class Results:
    """Scores and seconds of the runs that are done, kept in a file if one is given."""

    def __init__(self, path):
        self.path, self._records = path, []
        if path is not None and path.exists():
            self._records = [json.loads(line) for line in path.open()]

    def find(self, run):
        """Give the record of a run, None if it is not done."""
        return next((r for r in self._records if r["run"] == run), None)

    def add(self, run, scores, seconds):
        record = {"run": run, "scores": scores, "seconds": seconds}
        self._records.append(record)
        if self.path is not None:
            with self.path.open("a") as file:
                file.write(json.dumps(record) + "\n")
        return record


def run_all(args, methods, masks, train, test, results):
    """Give the records of the draws of every (method, number of images)."""
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
                    scores = measure([masks[i] for i in test], maps).tolist()
                    record = results.add(run, scores, seconds)
                print(
                    f"{method.name}, {size} images, draw {draw + 1}: "
                    f"{show_scores([record])}, {record['seconds']:.1f} s",
                    flush=True,
                )
                cells.setdefault((method.name, size), []).append(record)
    return cells


def names_and_sizes(cells):
    return (list(dict.fromkeys(part)) for part in zip(*cells, strict=True))


def print_table(title, cells, show):
    names, sizes = names_and_sizes(cells)
    print(f"\n{title}\n\n| images | " + " | ".join(map(str, sizes)) + " |")
    print("| --- |" + " --- |" * len(sizes))
    for name in names:
        row = " | ".join(show(cells[name, size]) for size in sizes)
        print(f"| {name} | {row} |")


def show_scores(records):
    """Mean and standard deviation of the draws, of every measure."""
    scores = np.array([record["scores"] for record in records])
    means = [f"{mean:.1f}" for mean in scores.mean(axis=0)]
    if len(scores) == 1:
        return " / ".join(means)
    spread = [f"{sd:.1f}" for sd in scores.std(axis=0, ddof=1)]
    return " / ".join(f"{m} ± {sd}" for m, sd in zip(means, spread, strict=True))


def show_seconds(records):
    return f"{np.mean([record['seconds'] for record in records]):.0f}"


def plot(cells, rivals, path):
    """Draw the mean of the draws, its standard deviation as a band."""
    import matplotlib.pyplot as plt

    names, sizes = names_and_sizes(cells)
    own = [name for name in names if name not in rivals]
    shades = plt.colormaps["viridis"](np.linspace(0.05, 0.85, len(own)))
    contrasts = ("#555555", "#D55E00", "#CC79A7", "#E69F00")
    styles = {n: {"color": c, "marker": "o"} for n, c in zip(own, shades, strict=True)}
    for i, name in enumerate(rivals):
        color = contrasts[i % len(contrasts)]
        styles[name] = {"color": color, "marker": "s", "linestyle": "--"}
    figure, axes = plt.subplots(
        1, 3, figsize=(13, 5.2), sharex=True, layout="constrained"
    )
    titles = ("Pixel accuracy (%)", "Class accuracy (%)", "Mean IoU (%)")
    for k, (ax, title) in enumerate(zip(axes, titles, strict=True)):
        for name in names:
            scores = [[r["scores"][k] for r in cells[name, size]] for size in sizes]
            mean = np.array([np.mean(draws) for draws in scores])
            ax.plot(sizes, mean, label=name, linewidth=1.8, ms=4.5, **styles[name])
            sd = [np.std(d, ddof=1) if len(d) > 1 else np.nan for d in scores]
            band = {"color": styles[name]["color"], "alpha": 0.1, "linewidth": 0}
            ax.fill_between(sizes, mean - sd, mean + sd, **band)
        ax.set_xscale("log")
        ax.set_xticks(sizes, map(str, sizes))
        ax.minorticks_off()
        ax.set_title(title, loc="left", fontsize=11)
        ax.spines[["top", "right"]].set_visible(False)
        ax.grid(axis="y", color="#E6E6E6")
        ax.set_axisbelow(True)
    axes[1].set_xlabel("annotated images")
    handles, labels = axes[0].get_legend_handles_labels()
    figure.legend(
        handles, labels, loc="outside lower center", ncols=4, frameon=False, fontsize=9
    )
    figure.savefig(path, dpi=150)


def main():
    args = parse_arguments()
    # Of a few images, some lack a class.
    warnings.simplefilter("ignore", AbsentClassWarning)
    data = fetch_stanford_background()
    folds = KFold(5, shuffle=True, random_state=0)
    train, test = next(folds.split(data.images))
    chosen = np.concatenate([train, test[: args.test_images]])
    images = [data.images[i] for i in chosen]
    masks = [data.masks[i] for i in chosen]
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
