"""Labels from scribbles, on the photographs of ``load_scribbled_photographs``.

Every method is trained on the scribbles and labels all other pixels. The measures are
taken on the check strokes, which were drawn apart from the scribbles. "vote of
neighbors" is what a few lines without this library do: a nearest-neighbor vote on color
and position, photograph by photograph. All other rows are pipelines, named by their
levels and by all parameters that differ between the rows. Those of the paper's levels
have 512 hidden units, trained slowly. The times are those of one seed.

    python benchmarks/scribbles.py
    python benchmarks/scribbles.py --rows sizes
    python benchmarks/scribbles.py --n-segments 300 500 1000 2000 --seeds 0

--rows methods compares methods at 500 superpixels, the default. --rows sizes compares
the preset "fast" at 500, 1,000 and 2,000 superpixels and at 576, 640 and 960. Its first
row is ``zoomout_pipeline()`` as it is by default.

Needs nothing but the library.
"""

import time

import numpy as np
from _common import LEVELS, PAPER_TRAINING, make_parser, measure
from skimage.color import rgb2lab
from sklearn.neighbors import KNeighborsClassifier

from sklearn_zoomout import Backbone, zoomout_pipeline
from sklearn_zoomout.datasets import load_scribbled_photographs

#: The title and the parameters of the pipelines of --rows methods.
METHODS = [
    ("local + proximal", {"levels": LEVELS[:2]}),
    ("four levels", {"levels": LEVELS, "weights": None, "input_size": 640}),
    ("four levels", {"levels": LEVELS, "input_size": 640}),
    ("fast", {}),
    ("fast", {"backbone": "zoomnet"}),
    ("fast", {"fine_tune": True}),
]
#: Those of --rows sizes.
SIZES = [("fast", {}), ("fast", {"input_size": 640}), ("fast", {"input_size": 960})]
ROWS = {"methods": (METHODS, [500]), "sizes": (SIZES, [500, 1000, 2000])}
#: The parameters of a network, which belong into its `Backbone`.
OF_BACKBONE = ("weights", "fine_tune")


def parse_arguments():
    parser = make_parser(__doc__)
    parser.add_argument("--rows", nargs="+", choices=list(ROWS), default=list(ROWS))
    parser.add_argument(
        "--n-segments",
        type=int,
        nargs="+",
        help="numbers of superpixels, if not those above",
    )
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--images", type=int, help="use the first N photographs")
    return parser.parse_args()


def list_pipelines(args):
    """Return the parameters of every pipeline by the name of its row."""
    pipelines = {}
    for rows in args.rows:
        methods, numbers = ROWS[rows]
        for n_segments in args.n_segments or numbers:
            for title, options in methods:
                options = options | {"n_segments": n_segments}
                shown = [f"{k}={v}" for k, v in options.items() if k != "levels"]
                pipelines[", ".join([title, *shown])] = options
    return pipelines


def make_pipeline(options, seed):
    """Return the pipeline of a row, with a seed for everything that is random."""
    of_backbone = {k: v for k, v in options.items() if k in OF_BACKBONE}
    others = {k: v for k, v in options.items() if k not in OF_BACKBONE}
    if "levels" in options:
        others |= PAPER_TRAINING | {"hidden_units": (512,)}
    if of_backbone:
        others["backbone"] = Backbone(**of_backbone, random_state=seed)
    return zoomout_pipeline(**others, random_state=seed)


def vote_of_neighbors(image, scribbles):
    """Label every pixel by the 5 scribbled ones nearest in L*a*b* and position."""
    height, width = scribbles.shape
    rows, columns = np.mgrid[:height, :width] * (100 / max(height, width))
    pixels = np.dstack([rgb2lab(image), rows, columns]).reshape(-1, 5)
    known = scribbles.ravel() != -1
    voters = KNeighborsClassifier(5).fit(pixels[known], scribbles.ravel()[known])
    return voters.predict(pixels).reshape(height, width)


def print_row(name, scores, seconds):
    cells = zip(np.mean(scores, axis=0), np.ptp(scores, axis=0) / 2, strict=True)
    text = "".join(f"{mean:9.1f} ± {half:3.1f}" for mean, half in cells)
    print(f"{name:60}{text}{seconds:9.0f}", flush=True)


def main():
    args = parse_arguments()
    data = load_scribbled_photographs()
    images, scribbles, checks = (
        data[key][: args.images] for key in ("images", "scribbles", "checks")
    )
    print(f"mean ± half of the range of seeds {args.seeds}, in percent")
    print(f"{'':60}{'pixel':>9}{'class':>15}{'IoU':>15}{'seconds':>15}")
    start = time.perf_counter()
    voted = [
        vote_of_neighbors(image, known)
        for image, known in zip(images, scribbles, strict=True)
    ]
    scores = [measure(checks, voted)]
    print_row("vote of neighbors", scores, time.perf_counter() - start)
    for name, options in list_pipelines(args).items():
        start, scores = time.perf_counter(), []
        for seed in args.seeds:
            model = make_pipeline(options, seed).fit(images, scribbles)
            scores.append(measure(checks, model.predict(images)))
        seconds = (time.perf_counter() - start) / len(args.seeds)
        print_row(name, scores, seconds)


if __name__ == "__main__":
    main()
