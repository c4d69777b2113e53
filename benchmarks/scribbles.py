"""Labels from scribbles, on the photographs of ``load_scribbled_photographs``.

For every way of labeling the rest of the photographs: how much of the check strokes is
right, which were drawn apart from the scribbles. A nearest-neighbor vote on color and
position, photograph by photograph, is what a few lines without this library give.

    python benchmarks/scribbles.py
    python benchmarks/scribbles.py --n-segments 300 500 1000 2000 --seeds 0

Needs nothing but the library.
"""

import argparse
import time

import numpy as np
from _common import LEVELS, measure
from skimage.color import rgb2lab
from sklearn.neighbors import KNeighborsClassifier

from sklearn_zoomout import zoomout_pipeline
from sklearn_zoomout.datasets import load_scribbled_photographs

PIPELINES = {
    "local + proximal": {"levels": LEVELS[:2]},
    "four levels, random network": {"levels": LEVELS, "weights": None},
    "four levels": {"levels": LEVELS},
    "fast": {},
    "fast, input_size=960": {"input_size": 960},
    "fast, input_size=960, fine-tuned": {"input_size": 960, "fine_tune": True},
}


def parse_arguments():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--n-segments", type=int, nargs="+", default=[2000])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--images", type=int, help="only so many, for a quick look")
    return parser.parse_args()


def vote_of_neighbors(image, scribbles):
    """Label every pixel by the 5 scribbled ones nearest in Lab and position."""
    height, width = scribbles.shape
    rows, columns = np.mgrid[:height, :width] * (100 / max(height, width))
    pixels = np.dstack([rgb2lab(image), rows, columns]).reshape(-1, 5)
    known = scribbles.ravel() != -1
    voters = KNeighborsClassifier(5).fit(pixels[known], scribbles.ravel()[known])
    return voters.predict(pixels).reshape(height, width)


def print_row(name, scores, seconds):
    cells = zip(np.mean(scores, axis=0), np.ptp(scores, axis=0) / 2, strict=True)
    text = "".join(f"{mean:9.1f} ± {half:3.1f}" for mean, half in cells)
    print(f"{name:52}{text}{seconds:9.0f}", flush=True)


def main():
    args = parse_arguments()
    data = load_scribbled_photographs()
    images, scribbles, checks = (
        data[key][: args.images] for key in ("images", "scribbles", "checks")
    )
    print(f"mean ± half of the range of seeds {args.seeds}, in percent")
    print(f"{'':52}{'pixel':>9}{'class':>15}{'IoU':>15}{'seconds':>15}")
    start = time.perf_counter()
    voted = [
        vote_of_neighbors(image, known)
        for image, known in zip(images, scribbles, strict=True)
    ]
    scores = [measure(checks, voted)]
    print_row("vote of neighbors", scores, time.perf_counter() - start)
    for n_segments in args.n_segments:
        for name, options in PIPELINES.items():
            start, scores = time.perf_counter(), []
            for seed in args.seeds:
                model = zoomout_pipeline(
                    n_segments=n_segments, random_state=seed, **options
                )
                model.fit(images, scribbles)
                scores.append(measure(checks, model.predict(images)))
            seconds = (time.perf_counter() - start) / len(args.seeds)
            print_row(f"{name}, {n_segments} superpixels", scores, seconds)


if __name__ == "__main__":
    main()
