"""How the cost of extraction grows with images, pixels, superpixels and processes.

The features are those of the preset "fast", on photographs of scikit-image's, resized
to one size, with one thread per process. Each table prints seconds, and the seconds per
image divided by those of the first row: 1.00 everywhere if the cost is linear in the
number of images. The table of pixels does the same per pixel. The convnets resize every
image to 640 pixels, so that only a part of the cost would grow with the number of
pixels. That table therefore scales ``input_size`` with the images.

Processes are joblib's. They start and load their networks before the measurement.
Numbers of processes take turns, and the table prints the medians of several rounds. The
column "apart" is the limit of the machine: as many processes, each with images of its
own, that send nothing to each other.

    python benchmarks/scaling.py
    python benchmarks/scaling.py --images 100 --processes 1 2 4 8
    python benchmarks/scaling.py --stanford-background

The last one extracts all images of Stanford Background instead, as a user would, on all
cores: ``zoomout_pipeline(n_jobs=...)``.
"""

import os
import time

import cv2
import numpy as np
import skimage.data
import torch
from _common import make_parser, print_setup
from joblib import Parallel, delayed, parallel_config

from sklearn_zoomout import zoomout_pipeline
from sklearn_zoomout.datasets import fetch_stanford_background

PHOTOGRAPHS = ("astronaut", "coffee", "chelsea", "rocket")


def parse_arguments():
    parser = make_parser(__doc__)
    parser.add_argument("--images", type=int, default=40)
    parser.add_argument("--size", type=int, nargs=2, default=[240, 320])
    parser.add_argument("--n-segments", type=int, default=500)
    parser.add_argument("--input-size", type=int, default=640)
    parser.add_argument("--processes", type=int, nargs="+", default=[1, os.cpu_count()])
    parser.add_argument("--rounds", type=int, default=5, help="rounds of the processes")
    parser.add_argument("--stanford-background", action="store_true")
    return parser.parse_args()


def load(n_images, size):
    """Return photographs that differ: shifted versions of a few."""
    images = []
    for i in range(n_images):
        name = PHOTOGRAPHS[i % len(PHOTOGRAPHS)]
        image = cv2.resize(getattr(skimage.data, name)(), size[::-1])
        images.append(np.roll(image, 7 * i, axis=1))
    return images


def make_extractor(n_segments, input_size):
    extractor = zoomout_pipeline(n_segments=n_segments, input_size=input_size)[:-1]
    extractor.fit(load(1, (96, 96)))
    return extractor


def seconds_of(extractor, images):
    """Return the seconds for all images, after a few that do not count."""
    extractor.transform(images[:4])
    start = time.perf_counter()
    extractor.transform(images)
    return time.perf_counter() - start


def print_table(title, rows):
    """Print seconds, and seconds per amount divided by those of the first row."""
    print(f"\n{title:20s}{'seconds':>10s}{'per unit, to the first':>26s}")
    first = None
    for name, seconds, amount in rows:
        first = first or seconds / amount
        print(f"{name:20s}{seconds:10.2f}{seconds / amount / first:26.2f}", flush=True)


def work_apart(args):
    """Return the seconds of a process with images of its own."""
    torch.set_num_threads(1)
    images = load(args.images, args.size)
    return seconds_of(make_extractor(args.n_segments, args.input_size), images)


def extract_stanford_background(args):
    images = fetch_stanford_background().images
    extractor = zoomout_pipeline(n_segments=args.n_segments, n_jobs=os.cpu_count())[:-1]
    extractor.fit(images[:2])
    start = time.perf_counter()
    table = extractor.transform(images)
    print(f"{table}\n{time.perf_counter() - start:.0f} seconds")


def main():
    args = parse_arguments()
    if args.stanford_background:
        print_setup(args)
        extract_stanford_background(args)
        return
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    print_setup(args)
    height, width = args.size
    images = load(args.images, (height, width))
    extractor = make_extractor(args.n_segments, args.input_size)

    counts = [args.images // 4, args.images // 2, args.images]
    rows = ((str(n), seconds_of(extractor, images[:n]), n) for n in counts)
    print_table("images", rows)

    def grown(factor):
        """Measure ``factor`` times as many pixels, and superpixels of the same size."""
        size = (round(height * factor**0.5), round(width * factor**0.5))
        larger = make_extractor(
            round(args.n_segments * factor), round(args.input_size * factor**0.5)
        )
        some = load(counts[0], size)
        return f"{size[0]} x {size[1]}", seconds_of(larger, some), size[0] * size[1]

    print_table("pixels", (grown(factor) for factor in (0.25, 1, 4)))

    def finer(factor):
        """Measure ``factor`` times as many superpixels."""
        n = round(args.n_segments * factor)
        seconds = seconds_of(make_extractor(n, args.input_size), images[: counts[0]])
        return str(n), seconds, 1

    print_table("superpixels", (finer(factor) for factor in (0.5, 1, 2)))

    compare_processes(args, extractor, images)


def compare_processes(args, extractor, images):
    """Print the median seconds of every number of processes, which take turns."""
    seconds = {n: [] for n in args.processes}
    apart = {n: [] for n in args.processes}
    for _ in range(args.rounds):
        for n in args.processes:
            with parallel_config("loky", n_jobs=n, inner_max_num_threads=1):
                extractor.transform(images[: 10 * n])  # starts all processes
                seconds[n].append(seconds_of(extractor, images))
                each = Parallel()(delayed(work_apart)(args) for _ in range(n))
            apart[n].append(max(each) / n)
    print(f"\n{'processes':20s}{'seconds':>10s}{'times as fast':>20s}{'apart':>8s}")
    first = args.processes[0]
    for n in args.processes:
        together, separately = (
            np.median(np.divide(taken[first], taken[n])) for taken in (seconds, apart)
        )
        cells = f"{np.median(seconds[n]):10.2f}{together:20.2f}{separately:8.2f}"
        print(f"{n:<20d}{cells}")


if __name__ == "__main__":
    main()
