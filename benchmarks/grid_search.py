"""What a grid search costs beside one extraction of the features, with ``memory=``.

The preset "fast", three sizes of the hidden layer, five folds. Measured one after the
other:

- extraction: superpixels and features of all images once, without a cache;
- fits and predictions: the same search over the classifier alone, on that table;
- grid search: over the whole pipeline, whose ``memory`` is an empty folder.

What is computed with the cache is counted: every image once, by every step. The ratio
of the grid search to the sum of the other two should be at most 1.1. Without a cache,
every fit and prediction would pay for an extraction: that ratio is computed from the
first two.

    python benchmarks/grid_search.py
    python benchmarks/grid_search.py --images 20 --folds 3 --hidden 64 128

The images are drawn from Stanford Background where its archive is in the folder that
SKLEARN_ZOOMOUT_DATA names, or are made up.
"""

import argparse
import tempfile
import time
from collections import Counter
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from _common import draw_images, print_setup
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV, KFold

from sklearn_zoomout import FeatureCache, ZoomoutClassifier, zoomout_pipeline
from sklearn_zoomout.datasets import fetch_stanford_background, make_scenes
from sklearn_zoomout.metrics import pixel_accuracy_scorer


class CountingCache(FeatureCache):
    """Counts the entries that this process has computed."""

    computed = Counter()

    def put(self, key, array):
        self.computed[key] += 1
        super().put(key, array)


class Clock:
    """Seconds of the wall clock and of the processor, by name."""

    def __init__(self):
        self.seconds = {}

    @contextmanager
    def __call__(self, name):
        start = np.array([time.perf_counter(), time.process_time()])
        yield
        end = np.array([time.perf_counter(), time.process_time()])
        self.seconds[name] = end - start


def parse_arguments():
    defaults = ZoomoutClassifier().get_params()
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--images", type=int, default=60)
    parser.add_argument("--folds", type=int, default=5)
    parser.add_argument("--hidden", type=int, nargs="+", default=[128, 256, 512])
    parser.add_argument("--epochs", type=int, default=defaults["max_epochs"])
    parser.add_argument("--n-segments", type=int, default=500)
    parser.add_argument("--seed", type=int, default=0, help="of draws and training")
    return parser.parse_args()


def load(args):
    try:
        data = fetch_stanford_background(download_if_missing=False)
    except OSError:
        print("made-up scenes")
        return make_scenes(args.images, random_state=args.seed)
    print("Stanford Background")
    chosen = draw_images(args, len(data.images))
    return [data.images[i] for i in chosen], [data.masks[i] for i in chosen]


def search(args, model, parameter, X, masks):
    candidates = {parameter: [(units,) for units in args.hidden]}
    folds = KFold(args.folds, shuffle=True, random_state=args.seed)
    return GridSearchCV(
        model, candidates, scoring=pixel_accuracy_scorer, cv=folds, refit=False
    ).fit(X, masks)


def main():
    args = parse_arguments()
    print_setup(args)
    images, masks = load(args)
    options = {
        "n_segments": args.n_segments,
        "max_epochs": args.epochs,
        "classes": np.unique(np.concatenate([np.unique(m[m >= 0]) for m in masks])),
        "random_state": args.seed,
    }
    model = zoomout_pipeline(**options)
    # torch and skorch are imported on use: not while the clock runs.
    clone(model).set_params(classifier__max_epochs=1).fit(images[:2], masks[:2])

    clock = Clock()
    with clock("extraction"):
        table = model[:-1].fit_transform(images, masks)
    with clock("fits and predictions"):
        on_table = search(args, model["classifier"], "hidden_units", table, masks)
    with tempfile.TemporaryDirectory() as folder:
        cached = zoomout_pipeline(**options, memory=CountingCache(folder))
        with clock("grid search"):
            searched = search(args, cached, "classifier__hidden_units", images, masks)
        n_bytes = sum(path.stat().st_size for path in Path(folder).glob("*/*"))

    print_scores("hidden units", args.hidden)
    print_scores("pixel accuracy on table", mean_scores(on_table))
    print_scores("pixel accuracy, cached", mean_scores(searched))
    print_seconds(clock.seconds, n_fits=len(args.hidden) * args.folds)
    print_counts(len(images), 1 + len(model["zoomout"].transformer_list))
    print(f"{n_bytes / len(images) / 1e6:.2f} MB an image on disk")


def mean_scores(searched):
    return 100 * searched.cv_results_["mean_test_score"]


def print_scores(name, values):
    print(f"{name:28s}" + "".join(f"{value:10.2f}" for value in values))


def print_seconds(seconds, n_fits):
    print(f"{'seconds':28s}{'wall':>10s}{'processor':>10s}")
    parts = seconds["extraction"] + seconds["fits and predictions"]
    without = n_fits * seconds["extraction"] + seconds["fits and predictions"]
    rows = seconds | {
        "ratio": seconds["grid search"] / parts,
        "ratio without (computed)": without / parts,
    }
    for name, values in rows.items():
        print_scores(name, values)


def print_counts(n_images, n_steps):
    counts = Counter(CountingCache.computed.values())
    once = counts == {1: n_images * n_steps}
    print(f"{n_images} images, {n_steps} steps, each computed once: {once}")


if __name__ == "__main__":
    main()
