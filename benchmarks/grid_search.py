"""The cost of a grid search with ``memory=``, next to one extraction of the features.

The search is over three sizes of the hidden layer of the preset "fast", with five
folds. Three things are measured one after the other:

- extraction: superpixels and features of all images once, without a cache;
- fits and predictions: the same search over the classifier alone, on that table;
- grid search: the search over the whole pipeline, whose ``memory`` is an empty folder.

The benchmark counts what is computed with the cache: every step should compute every
image once. The ratio of the grid search to the sum of the other two should be at most
1.1. Without a cache, every fit and every prediction would need an extraction. That
ratio is computed from the first two.

    python benchmarks/grid_search.py
    python benchmarks/grid_search.py --images 20 --folds 3 --hidden 64 128

The images are drawn from Stanford Background if its archive is in the folder that
SKLEARN_ZOOMOUT_DATA names. Otherwise they are made-up scenes.
"""

import tempfile
import time
from collections import Counter
from pathlib import Path

import numpy as np
from _common import Stopwatch, load_photographs, make_parser, print_setup
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV, KFold

from sklearn_zoomout import FeatureCache, ZoomoutClassifier, zoomout_pipeline
from sklearn_zoomout.metrics import pixel_accuracy_scorer


class CountingCache(FeatureCache):
    """A cache that counts how often this process has computed each entry."""

    computed = Counter()

    def _put(self, key, array, tell):
        self.computed[key] += 1
        super()._put(key, array, tell)


def parse_arguments():
    defaults = ZoomoutClassifier().get_params()
    parser = make_parser(__doc__)
    parser.add_argument("--images", type=int, default=60)
    parser.add_argument("--folds", type=int, default=5)
    parser.add_argument("--hidden", type=int, nargs="+", default=[128, 256, 512])
    parser.add_argument("--epochs", type=int, default=defaults["max_epochs"])
    parser.add_argument("--n-segments", type=int, default=500)
    parser.add_argument(
        "--seed", type=int, default=0, help="seed of draws and training"
    )
    return parser.parse_args()


def wall_and_processor():
    """Return the seconds of the wall clock and those of the processor."""
    return np.array([time.perf_counter(), time.process_time()])


def search(args, model, parameter, X, masks):
    candidates = {parameter: [(units,) for units in args.hidden]}
    folds = KFold(args.folds, shuffle=True, random_state=args.seed)
    return GridSearchCV(
        model, candidates, scoring=pixel_accuracy_scorer, cv=folds, refit=False
    ).fit(X, masks)


def main():
    args = parse_arguments()
    print_setup(args)
    description, images, masks = load_photographs(args)
    print(description)
    options = {
        "n_segments": args.n_segments,
        "pixels": False,
        "max_epochs": args.epochs,
        "classes": np.unique(np.concatenate([np.unique(m[m >= 0]) for m in masks])),
        "random_state": args.seed,
    }
    model = zoomout_pipeline(**options)
    # The first use imports torch and skorch, which is not to be measured.
    clone(model).set_params(classifier__max_epochs=1).fit(images[:2], masks[:2])

    stopwatch = Stopwatch(wall_and_processor)
    with stopwatch("extraction"):
        table = model[:-1].fit_transform(images, masks)
    with stopwatch("fits and predictions"):
        on_table = search(args, model["classifier"], "hidden_units", table, masks)
    with tempfile.TemporaryDirectory() as folder:
        cached = zoomout_pipeline(**options, memory=CountingCache(folder))
        with stopwatch("grid search"):
            searched = search(args, cached, "classifier__hidden_units", images, masks)
        n_bytes = sum(path.stat().st_size for path in Path(folder).glob("*/*"))

    print_numbers("hidden units", args.hidden)
    print_numbers("pixel accuracy on table", mean_scores(on_table))
    print_numbers("pixel accuracy, cached", mean_scores(searched))
    print_seconds(stopwatch.seconds, n_fits=len(args.hidden) * args.folds)
    print_counts(len(images), 1 + len(model["zoomout"].transformer_list))
    print(f"{n_bytes / len(images) / 1e6:.2f} MB an image on disk")


def mean_scores(searched):
    return 100 * searched.cv_results_["mean_test_score"]


def print_numbers(name, values):
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
        print_numbers(name, values)


def print_counts(n_images, n_steps):
    counts = Counter(CountingCache.computed.values())
    once = counts == {1: n_images * n_steps}
    print(f"{n_images} images, {n_steps} steps, each computed once: {once}")


if __name__ == "__main__":
    main()
