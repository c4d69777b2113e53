"""What the benchmarks share: options, data, measures, seconds and printing."""

import argparse
import os
import platform
import time
from contextlib import contextmanager
from itertools import combinations

import numpy as np
from scipy.ndimage import maximum_filter, minimum_filter

from sklearn_zoomout import ZoomoutClassifier
from sklearn_zoomout.datasets import fetch_stanford_background, make_scenes
from sklearn_zoomout.labels import superpixel_labels
from sklearn_zoomout.masks import UNLABELED
from sklearn_zoomout.metrics import class_accuracy, mean_iou, pixel_accuracy
from sklearn_zoomout.pipeline import PRESETS

#: The four levels of the paper.
LEVELS = ("local", "proximal", "distant", "global")
#: All sets of them.
SUBSETS = [
    levels
    for size in range(1, len(LEVELS) + 1)
    for levels in combinations(LEVELS, size)
]
#: How rows of the paper's levels are trained: slowly, as by its presets. Rows of the
#: default pipeline are trained as by default.
PAPER_TRAINING = {
    name: value
    for name, value in PRESETS["arxiv2014"].classifier.items()
    if name != "hidden_units"
}


def make_parser(doc):
    """Return a parser whose help is the docstring of a script."""
    return argparse.ArgumentParser(
        description=doc, formatter_class=argparse.RawDescriptionHelpFormatter
    )


def add_options(parser):
    """Add the options of the benchmarks on data sets, with the library's defaults."""
    defaults = ZoomoutClassifier().get_params()
    parser.add_argument(
        "--seed", type=int, default=0, help="seed of draws and training"
    )
    parser.add_argument(
        "--backbone",
        nargs="+",
        default=["zoomnet"],
        metavar="NAME[=WEIGHTS]",
        help='networks, each with its own rows; WEIGHTS is a path, or "none" for '
        "random weights",
    )
    parser.add_argument(
        "--maps",
        nargs="*",
        metavar="LAYER",
        help="average feature maps over superpixels: those of these layers, or, "
        "without a layer, of all resolutions",
    )
    parser.add_argument("--input-size", type=int, default=640)
    parser.add_argument(
        "--flip",
        action="store_true",
        help="average the feature maps with those of the mirror image",
    )
    parser.add_argument("--dtype", default="float32", help="precision of the networks")
    parser.add_argument("--n-segments", type=int, default=500)
    parser.add_argument(
        "--pooling",
        choices=["roi", "crop"],
        default="roi",
        help="pooling of the distant level; crop is the paper's way, and slow",
    )
    parser.add_argument("--epochs", type=int, default=defaults["max_epochs"])
    parser.add_argument(
        "--learning-rate", type=float, help="of all rows; default: that of each"
    )
    parser.add_argument("--weight-decay", type=float, default=defaults["weight_decay"])
    parser.add_argument("--device", default=defaults["device"])
    parser.add_argument("--n-jobs", type=int, default=os.cpu_count())
    parser.add_argument("--verbose", type=int, default=0)


def default_options(**changed):
    """Return the options of `add_options` without a command line."""
    parser = argparse.ArgumentParser()
    add_options(parser)
    return argparse.Namespace(**(vars(parser.parse_args([])) | changed))


def pick(items, positions):
    """Return the list of the items at some positions."""
    return [items[i] for i in positions]


def draw_positions(args, n_items):
    """Return the sorted positions of --images items drawn at random, or of all."""
    order = np.random.RandomState(args.seed).permutation(n_items)
    return np.sort(order[: args.images])


def load_photographs(args):
    """Load --images photographs of Stanford Background, or make scenes without it.

    Returns
    -------
    description : str
        What the images are.
    images, masks : lists of ndarray
        The images and their masks.
    """
    try:
        data = fetch_stanford_background(download_if_missing=False)
    except OSError:
        return "made-up scenes", *make_scenes(args.images, random_state=args.seed)
    drawn = draw_positions(args, len(data.images))
    images, masks = pick(data.images, drawn), pick(data.masks, drawn)
    return "images of Stanford Background", images, masks


class Stopwatch:
    """Measure the seconds of stages.

    Parameters
    ----------
    clock : callable, default=time.perf_counter
        Returns the time in seconds, or an array of the times of several clocks.

    Attributes
    ----------
    seconds : dict
        The seconds by the name of the stage. A stage that ran twice has their sum.
    """

    def __init__(self, clock=time.perf_counter):
        self.clock = clock
        self.seconds = {}

    @contextmanager
    def __call__(self, stage):
        start = self.clock()
        yield
        elapsed = self.clock() - start
        self.seconds[stage] = self.seconds.get(stage, 0.0) + elapsed


def median_seconds(work, runs, clock=time.perf_counter):
    """Return the median seconds of a function, after a first run that does not count.

    Parameters
    ----------
    work : callable
        The function, without arguments.
    runs : int
        How many runs to measure.
    clock : callable, default=time.perf_counter
        Returns the time in seconds.

    Returns
    -------
    float
    """
    work()
    seconds = []
    for _ in range(runs):
        start = clock()
        work()
        seconds.append(clock() - start)
    return np.median(seconds)


def near_boundaries(mask, n_pixels=3):
    """Return a mask with the labels close to a boundary of two classes alone.

    Parameters
    ----------
    mask : ndarray of integers of shape (height, width)
        The label map, -1 where a pixel has no label.
    n_pixels : int, default=3
        Pixels further from the nearest pixel of another class get -1.
    """
    size = 2 * n_pixels + 1
    unknown = mask == UNLABELED
    largest = maximum_filter(mask, size, mode="nearest")
    least = minimum_filter(np.where(unknown, largest, mask), size, mode="nearest")
    return np.where((least < largest) & ~unknown, mask, UNLABELED)


def ceiling(masks, superpixels, classes=None):
    """Return the best label maps that the superpixels allow."""
    return [
        superpixel_labels(segmented, mask, classes)[segmented.segments]
        for segmented, mask in zip(superpixels, masks, strict=True)
    ]


def measure(truth, predictions, **options):
    """Return pixel accuracy, class accuracy and mean IoU in percent."""
    metrics = (pixel_accuracy, class_accuracy, mean_iou)
    return 100 * np.array([f(truth, predictions, **options) for f in metrics])


def print_setup(args):
    """Print the machine, the versions and the options."""
    import sklearn
    import torch

    print(
        f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores; "
        f"Python {platform.python_version()}, scikit-learn {sklearn.__version__}, "
        f"torch {torch.__version__}"
    )
    print(" ".join(f"{name}={value}" for name, value in vars(args).items()))


def print_header(*titles):
    """Print the titles of the columns: three measures, and others."""
    titles = ("pixel", "class", "IoU", *titles)
    print(f"{'':76s}" + "".join(f"{title:>8s}" for title in titles))


def print_row(name, values):
    """Print a row of numbers, with a blank for None."""
    cells = ("" if value is None else f"{value:.1f}" for value in values)
    print(f"{name:76s}" + "".join(f"{cell:>8s}" for cell in cells), flush=True)
