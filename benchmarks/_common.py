"""What the benchmarks on data sets share: options, features, measures, costs."""

import os
import platform
import resource
import time
from contextlib import contextmanager
from itertools import combinations

import numpy as np
from sklearn.pipeline import FeatureUnion

from sklearn_zoomout import (
    ConvnetRegionFeatures,
    ConvnetSuperpixelFeatures,
    FineTuning,
    GlobalFeatures,
    LocalFeatures,
    ProximalFeatures,
    SuperpixelSegmenter,
    ZoomoutClassifier,
    ZoomoutUnion,
)
from sklearn_zoomout.labels import superpixel_labels
from sklearn_zoomout.metrics import class_accuracy, mean_iou, pixel_accuracy

LEVELS = ("local", "proximal", "distant", "global")
SUBSETS = [
    levels
    for size in range(1, len(LEVELS) + 1)
    for levels in combinations(LEVELS, size)
]


def add_options(parser):
    """Add the options of all benchmarks; training is the library's by default."""
    defaults = ZoomoutClassifier().get_params()
    parser.add_argument("--seed", type=int, default=0, help="of draws and training")
    parser.add_argument(
        "--backbone",
        nargs="+",
        default=["zoomnet"],
        metavar="NAME[=WEIGHTS]",
        help='WEIGHTS is a path, or "none" for random ones; rows for each',
    )
    parser.add_argument(
        "--maps",
        nargs="*",
        metavar="LAYER",
        help="average the backbone's maps over superpixels: those of these layers, or "
        "of all resolutions",
    )
    parser.add_argument("--input-size", type=int, default=640)
    parser.add_argument(
        "--flip", action="store_true", help="average maps with the mirror image's"
    )
    parser.add_argument("--dtype", default="float32", help="of the convnets")
    parser.add_argument("--n-segments", type=int, default=500)
    parser.add_argument(
        "--pooling",
        choices=["roi", "crop"],
        default="roi",
        help="how the distant level sees a box; crop is the paper's way, and slow",
    )
    parser.add_argument("--epochs", type=int, default=defaults["max_epochs"])
    for name in ("learning_rate", "weight_decay"):
        option = "--" + name.replace("_", "-")
        parser.add_argument(option, type=float, default=defaults[name])
    parser.add_argument("--device", default=defaults["device"])
    parser.add_argument("--n-jobs", type=int, default=os.cpu_count())
    parser.add_argument("--verbose", type=int, default=0)


def make_classifier(args, hidden_units, **options):
    return ZoomoutClassifier(
        hidden_units,
        max_epochs=args.epochs,
        learning_rate=args.learning_rate,
        weight_decay=args.weight_decay,
        device=args.device,
        random_state=args.seed,
        **options,
    )


def draw_images(args, n_images):
    """Draw the positions of --images of the images, or give all."""
    order = np.random.RandomState(args.seed).permutation(n_images)
    return np.sort(order[: args.images])


class Stopwatch:
    """Seconds by name of stage."""

    def __init__(self):
        self.seconds = {}

    @contextmanager
    def __call__(self, stage):
        start = time.perf_counter()
        yield
        elapsed = time.perf_counter() - start
        self.seconds[stage] = self.seconds.get(stage, 0.0) + elapsed


def segment(args, images, stopwatch):
    with stopwatch("superpixels"):
        segmenter = SuperpixelSegmenter(
            args.n_segments, n_jobs=args.n_jobs, verbose=args.verbose
        )
        return segmenter.transform(images)


def describe_convnets(args, superpixels, stopwatch):
    """Give the convnet's levels, which learn nothing here, of every backbone."""
    return {
        backbone: describe_convnet(args, backbone, superpixels, stopwatch)
        for backbone in args.backbone
    }


def make_levels(args, backbone, **options):
    """Give the levels of a backbone, named as NAME[=WEIGHTS]."""
    name, _, weights = backbone.partition("=")
    common = {
        "backbone": name,
        "weights": None if weights == "none" else weights or "default",
        "flip": args.flip,
        "dtype": args.dtype,
        "device": args.device,
        "verbose": args.verbose,
        **options,
    }
    sized = common | {"input_size": args.input_size}
    levels = [
        ConvnetRegionFeatures(pooling=args.pooling, **sized),
        GlobalFeatures(**common),
    ]
    if args.maps is not None:
        levels.append(ConvnetSuperpixelFeatures(layers=args.maps or "all", **sized))
    return levels


def describe_convnet(args, backbone, superpixels, stopwatch):
    tables = []
    for level in make_levels(args, backbone):
        with stopwatch(f"{level.block_name}, {backbone}"):
            tables.append(level.fit_transform(superpixels))
    print(f"{backbone}: {level.weights_}, sha256 {level.weights_sha256_}")
    return np.concatenate(tables, axis=1)


def describe_fine_tuned(
    args, backbone, superpixels, masks, train, stopwatch, void_label=-1
):
    """Give the levels of a backbone that was trained on the images ``train``."""
    fine_tune = FineTuning(
        args.tuning_steps, void_label=void_label, random_state=args.seed
    )
    levels = make_levels(args, backbone, fine_tune=fine_tune)
    union = ZoomoutUnion(
        [(level.block_name, level) for level in levels], n_jobs=args.n_jobs
    )
    with stopwatch(f"training, network, {backbone}"):
        union.fit(superpixels[train], [masks[i] for i in train])
    with stopwatch(f"all levels, fine-tuned {backbone}"):
        return union.transform(superpixels)


def describe_crafted(args, superpixels, train, stopwatch):
    """Local and proximal features, their dictionaries fitted on ``train``."""
    options = {
        "n_jobs": args.n_jobs,
        "random_state": args.seed,
        "verbose": args.verbose,
    }
    union = FeatureUnion(
        [
            ("local", LocalFeatures(**options)),
            ("proximal", ProximalFeatures(**options)),
        ]
    )
    with stopwatch("dictionaries"):
        union.fit(superpixels[train])
    with stopwatch("local and proximal"):
        return union.transform(superpixels)


def choose_levels(args, crafted, convnets):
    """Give the table of every set of levels that was asked for, by its name."""
    tables = {}
    for backbone, convnet in convnets.items():
        table = np.concatenate([crafted, convnet], axis=1)
        tables[f"four levels, {backbone}"] = table.select(LEVELS)
        if args.maps is not None:
            tables[f"four levels + maps, {backbone}"] = table
            tables[f"distant + global + maps, {backbone}"] = convnet
    return tables


def train_and_predict(model, table, masks, split, stopwatch, name):
    train, test = split
    with stopwatch(f"training, {name}"):
        model.fit(table[train], [masks[i] for i in train])
    with stopwatch(f"prediction, {name}"):
        return model.predict(table[test])


def ceiling(masks, superpixels, **options):
    """Give the best label maps that the superpixels allow."""
    return [
        superpixel_labels(s, m, **options)[s.segments]
        for s, m in zip(superpixels, masks, strict=True)
    ]


def measure(truth, predictions, **options):
    """Pixel accuracy, class accuracy and mean IoU in percent."""
    return 100 * np.array(
        [
            f(truth, predictions, **options)
            for f in (pixel_accuracy, class_accuracy, mean_iou)
        ]
    )


def print_setup(args):
    import sklearn
    import torch

    print(
        f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores; "
        f"Python {platform.python_version()}, scikit-learn {sklearn.__version__}, "
        f"torch {torch.__version__}"
    )
    print(" ".join(f"{name}={value}" for name, value in vars(args).items()))


def print_header(*titles):
    titles = ("pixel", "class", "IoU", *titles)
    print(f"{'':76s}" + "".join(f"{title:>8s}" for title in titles))


def print_row(name, values):
    cells = ("" if value is None else f"{value:.1f}" for value in values)
    print(f"{name:76s}" + "".join(f"{cell:>8s}" for cell in cells), flush=True)


def print_cost(stopwatch, n_images, passes=1):
    """Print seconds by stage; what is fitted on the data was done ``passes`` times."""
    print(f"\n{'seconds':46s}total   per image and pass")
    repeated = ("dictionaries", "local and proximal", "all levels, fine-tuned")
    one_extraction = 0.0
    for stage, seconds in stopwatch.seconds.items():
        learned = stage.startswith(("training", "prediction"))
        anew = learned or stage.startswith(repeated)
        one_pass = seconds / (passes if anew else 1)
        if not learned and not stage.startswith("all levels"):  # of the frozen ones
            one_extraction += one_pass
        print(f"{stage:44s}{seconds:7.0f}{one_pass / n_images:12.3f}")
    print(f"one extraction of all that is above: {one_extraction / 60:.1f} minutes")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(f"peak memory: {peak:.1f} GB")
