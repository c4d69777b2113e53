"""Accuracy and processor seconds of ways to train the classifier.

The features are those of the preset "fast", the images those of Stanford Background, as
in few_images.py: a draw of n images is the first n of a random order, and the test
images are the first --test-images of the first fold. The last rows are the scribbles of
``load_scribbled_photographs``, measured on its check strokes. The seconds are those of
``fit`` on the features, processor time of all threads.

    python benchmarks/training.py --memory training_cache
    python benchmarks/training.py --sizes 20 --draws 1 --memory training_cache

The ways:

- constant rate: 512 hidden units, a rate of 1e-4 and 512 rows a step, as the presets of
  the papers are trained;
- one cycle: 512 hidden units, trained as by default;
- linear: a linear softmax, fitted by a solver;
- default: ``ZoomoutClassifier()``, which chooses one of the last two;
- warm: 512 hidden units, trained on nine tenths of the images, or on half of each
  scribble, and then on all with ``warm_start=True``. The seconds are those of the
  second fit. Its rival is one cycle.
"""

import time
import warnings

import numpy as np
from _common import PAPER_TRAINING, make_parser, measure, pick
from skimage.measure import label
from sklearn.model_selection import KFold

from sklearn_zoomout import PixelFusion, ZoomoutClassifier, zoomout_pipeline
from sklearn_zoomout.datasets import (
    fetch_stanford_background,
    load_scribbled_photographs,
)
from sklearn_zoomout.exceptions import AbsentClassWarning

WAYS = {
    "constant rate": {"hidden_units": (512,), **PAPER_TRAINING},
    "one cycle": {"hidden_units": (512,)},
    "linear": {"hidden_units": ()},
    "default": {},
    "default, pixels": {},
    "warm": {"hidden_units": (512,), "warm_start": True},
}
#: Draws of up to so many images are repeated.
SMALL = 20


def parse_arguments():
    parser = make_parser(__doc__)
    parser.add_argument("--sizes", type=int, nargs="+", default=[5, 20, 100, 572])
    parser.add_argument("--ways", nargs="+", choices=list(WAYS), default=list(WAYS))
    parser.add_argument(
        "--draws", type=int, default=3, help=f"draws of up to {SMALL} images, and seeds"
    )
    parser.add_argument("--test-images", type=int, default=80)
    parser.add_argument("--memory", help="folder that keeps the features")
    return parser.parse_args()


def describe(images, memory):
    """Compute the features of the preset "fast"."""
    pipeline = zoomout_pipeline(memory=memory, random_state=0)
    return pipeline[:-1].fit_transform(images)


def begin_strokes(mask):
    """Keep one half of every stroke, along its longer side."""
    strokes, kept = label(mask, background=-1, connectivity=2), np.full_like(mask, -1)
    for number in range(1, strokes.max() + 1):
        pixels = np.nonzero(strokes == number)
        longer = max(pixels, key=np.ptp)
        half = tuple(axis[longer <= np.median(longer)] for axis in pixels)
        kept[half] = mask[half]
    return kept


def fit(way, table, masks, seed, first):
    """Train; return the classifier and its processor seconds.

    ``first`` has the masks of the first fit of two. Images without a mask are not in
    it.
    """
    options = {"classes": range(8), **WAYS[way]}
    model = ZoomoutClassifier(**options, random_state=seed)
    if way == "default, pixels":
        model = PixelFusion(model, random_state=seed)
    if way == "warm":
        model.fit(table[range(len(first))], first)
    start = time.process_time()
    model.fit(table, masks)
    return model, time.process_time() - start


def print_row(title, runs):
    """Print the means of runs, each three measures and seconds."""
    *scores, seconds = np.mean(runs, axis=0)
    cells = "".join(f"{score:8.1f}" for score in scores)
    print(f"{title:40s}{cells}{seconds:10.2f}", flush=True)


def main():
    args = parse_arguments()
    # Some draws of a few images lack a class.
    warnings.simplefilter("ignore", AbsentClassWarning)
    print(f"{'':40s}{'pixel':>8}{'class':>8}{'IoU':>8}{'seconds':>10}")
    data = fetch_stanford_background()
    folds = KFold(5, shuffle=True, random_state=0)
    train, test = next(folds.split(data.images))
    test = test[: args.test_images]
    test_table = describe(pick(data.images, test), args.memory)
    test_masks = pick(data.masks, test)
    for size in args.sizes:
        runs = {way: [] for way in args.ways}
        for seed in range(args.draws if size <= SMALL else 1):
            drawn = np.random.RandomState(seed).permutation(train)[:size]
            table = describe(pick(data.images, drawn), args.memory)
            masks = pick(data.masks, drawn)
            first = masks[: size * 9 // 10]
            for way in args.ways:
                if way == "linear" and size > 100:  # it copies the rows
                    continue
                model, seconds = fit(way, table, masks, seed, first)
                scores = measure(test_masks, model.predict(test_table))
                runs[way].append([*scores, seconds])
        for way in filter(runs.get, runs):
            print_row(f"{size} images, {way}", runs[way])
    data = load_scribbled_photographs()
    table = describe(data["images"], args.memory)
    masks = data["scribbles"]
    first = [begin_strokes(mask) for mask in masks]
    for way in args.ways:
        runs = []
        for seed in range(args.draws):
            model, seconds = fit(way, table, masks, seed, first)
            runs.append([*measure(data["checks"], model.predict(table)), seconds])
        print_row(f"scribbles, {way}", runs)


if __name__ == "__main__":
    main()
