"""The speed of superpixels and hand-crafted features, compared with plain code.

It prints four parts:

- for a photograph of 375 x 500 pixels with about 500 superpixels, the seconds of every
  step in `_plain_crafted.py` and in the library, and how far their results agree for
  the same input;
- the library's seconds per image, with all cores on many images;
- the library's milliseconds for other numbers of pixels and superpixels;
- how well the superpixels of the library and of scikit-image follow boundaries.

    python benchmarks/speed_crafted.py
    python benchmarks/speed_crafted.py --runs 1 --images 10

Both sides run in one thread, except where the table names all cores. Seconds are those
of the processor, and with all cores those of the wall clock. They are the median of
several runs after a first one that does not count. The images of the last part are from
Stanford Background if its archive is found, otherwise made-up scenes. Needs nothing but
the library.
"""

import os
import time
from functools import partial

import _plain_crafted as plain
import cv2
import numpy as np
from _common import (
    ceiling,
    load_photographs,
    make_parser,
    measure,
    median_seconds,
    print_setup,
)
from scipy.ndimage import maximum_filter
from skimage.color import rgb2lab
from skimage.data import astronaut
from threadpoolctl import threadpool_limits

from sklearn_zoomout import (
    LocalFeatures,
    ProximalFeatures,
    SegmentedImage,
    SuperpixelSegmenter,
    ZoomoutUnion,
)
from sklearn_zoomout.descriptors import (
    assign_textons,
    assign_words,
    color_codes,
    filter_responses,
    image_sift,
    rgb_to_lab,
)

seconds = partial(median_seconds, clock=time.process_time)


def parse_arguments():
    parser = make_parser(__doc__)
    parser.add_argument("--size", type=int, nargs=2, default=[375, 500])
    parser.add_argument("--n-segments", type=int, default=500)
    parser.add_argument("--runs", type=int, default=9, help="runs of the library")
    parser.add_argument("--plain-runs", type=int, default=3)
    parser.add_argument(
        "--images",
        type=int,
        default=100,
        help="images of the comparison of superpixels",
    )
    parser.add_argument("--seed", type=int, default=0)
    return parser.parse_args()


def photograph(height, width):
    """Return a part of scikit-image's astronaut, or an enlarged copy of it."""
    whole = astronaut()
    if height <= whole.shape[0] and width <= whole.shape[1]:
        return np.ascontiguousarray(whole[:height, :width])
    return cv2.resize(whole, (width, height), interpolation=cv2.INTER_CUBIC)


class Library:
    """The library's steps on one image, each on the results of those before."""

    def __init__(self, image, n_segments, local, proximal):
        self.image, self.local, self.proximal = image, local, proximal
        self.segmenter = SuperpixelSegmenter(n_segments)
        self.lab = rgb_to_lab(image)
        self.responses = filter_responses(self.lab)
        self.textons = self.find_textons()
        self.descriptors = image_sift(self.lab)
        self.words = self.find_words()
        self.segmented = self.segmenter.transform([image])[0]
        self.rows = [f.describe(self.segmented) for f in (local, proximal)]
        self.steps = {
            "superpixels": lambda: self.segmenter.transform([image]),
            "L*a*b*": lambda: rgb_to_lab(image),
            "filter bank": lambda: filter_responses(self.lab),
            "textons": self.find_textons,
            "dense SIFT": lambda: image_sift(self.lab),
            "words": self.find_words,
            "regions": self.find_regions,
            "counts of colors and textons": self.count_codes,
            "histograms, local": lambda: local.describe(self.segmented),
            "histograms, proximal": lambda: proximal.describe(self.segmented),
        }

    def find_textons(self):
        known = self.local
        dictionary = known.textons_, known.texton_mean_, known.texton_scale_
        return assign_textons(self.responses, *dictionary)

    def find_words(self):
        return assign_words(self.descriptors, self.local.words_)

    def find_regions(self):
        fresh = SegmentedImage(self.image, self.segmented.segments)
        return fresh.neighborhood(2), fresh.region_centroids(2)

    def count_codes(self):
        for codes in color_codes(self.lab):
            self.segmented.count(codes, 32)
        self.segmented.count(self.textons, len(self.local.textons_))

    def run(self):
        """Compute both levels from the image, as a pipeline does."""
        superpixels = self.segmenter.transform([self.image])
        return [f.transform(superpixels) for f in (self.local, self.proximal)]


class Plain:
    """The same steps in plain code, on the same input."""

    def __init__(self, library, n_segments):
        self.library = library
        segments = library.segmented.segments
        dictionary = library.local
        points = plain.grid_points(segments.shape)
        self.regions = [plain.regions(segments, radius) for radius in (0, 2)]
        lab = library.lab.astype(np.float64)

        def describe(members):
            return plain.describe(
                *(lab, plain.quantiles(lab)),
                *(library.textons, len(dictionary.textons_)),
                *(points, library.words, len(dictionary.words_)),
                plain.masks_of(segments, members),
            )

        self.naive_sift = lambda: plain.dense_sift(lab, points, naive=True)
        self.steps = {
            "superpixels": lambda: plain.superpixels(library.image, n_segments),
            "L*a*b*": lambda: rgb2lab(library.image),
            "filter bank": lambda: plain.filter_bank(lab),
            "textons": lambda: plain.textons(
                library.responses,
                *(dictionary.textons_, dictionary.texton_mean_),
                dictionary.texton_scale_,
            ),
            "dense SIFT": lambda: plain.dense_sift(lab, points),
            "words": lambda: plain.words(library.descriptors, dictionary.words_),
            "regions": lambda: plain.regions(segments, 2),
            "histograms, local": lambda: describe(self.regions[0]),
            "histograms, proximal": lambda: describe(self.regions[1]),
        }


def agreement(step, library, theirs):
    """Return how far a step of the plain code agrees with the library's."""
    segmented = library.segmented
    if step in ("L*a*b*", "filter bank"):
        ours = library.lab if step == "L*a*b*" else library.responses
        return f"largest difference {np.abs(theirs - ours).max():.1g}"
    if step in ("textons", "words"):
        ours = library.textons if step == "textons" else library.words
        return f"{100 * (theirs == ours).mean():.3f} % the same"
    if step == "dense SIFT":
        rows = zip(
            *(d.reshape(-1, 128) for d in (library.descriptors, theirs)), strict=True
        )
        correlations = [
            np.corrcoef(*pair)[0, 1] for pair in rows if np.all(np.any(pair, axis=1))
        ]
        return f"median correlation {np.median(correlations):.3f}"
    if step == "regions":
        near = segmented.neighborhood(2)
        same = [
            set(near.indices[near.indptr[i] : near.indptr[i + 1]]) == set(region)
            for i, region in enumerate(theirs)
        ]
        return f"{100 * np.mean(same):.0f} % the same"
    if step.startswith("histograms"):
        ours = library.rows[step == "histograms, proximal"]
        error = np.abs(theirs - ours)
        return (
            f"correlation {np.corrcoef(theirs.ravel(), ours.ravel())[0, 1]:.6f}, "
            f"largest difference {error.max():.1g}"
        )
    return f"{theirs.max() + 1} and {segmented.n_segments} superpixels, see below"


def compare_steps(args, library):
    other = Plain(library, args.n_segments)
    print(f"\n{'step':32}{'plain':>9}{'library':>9}{'ratio':>7}   agreement")
    total = 0.0
    for step, ours in library.steps.items():
        theirs, slow, note = other.steps.get(step), None, "part of the histograms"
        if theirs is not None:
            slow = seconds(theirs, args.plain_runs)
            total += slow
            note = agreement(step, library, theirs())
        print_step(step, slow, seconds(ours, args.runs), note)
    fast = seconds(library.run, args.runs)
    print_step("all of it", total, fast, "")
    naive = seconds(other.naive_sift, args.plain_runs)
    ours = seconds(library.steps["dense SIFT"], args.runs)
    note = "OpenCV's windows are six times too wide"
    print_step("dense SIFT, size = patch", naive, ours, note)
    right = seconds(other.steps["dense SIFT"], args.plain_runs)
    print_step("all of it with that", total - right + naive, fast, "")
    return total


def compare_throughput(args, library, slow):
    """Print the library's seconds per image with a thread on every core."""
    n_jobs = os.cpu_count()
    segmenter = SuperpixelSegmenter(args.n_segments, n_jobs=n_jobs)
    levels = [("local", library.local), ("proximal", library.proximal)]
    union = ZoomoutUnion(levels, n_jobs=n_jobs)
    images = [np.roll(library.image, 9 * i, axis=1) for i in range(16)]

    def extract():
        union.transform(segmenter.transform(images))

    fast = median_seconds(extract, args.runs) / len(images)
    print_step(f"all of it, {n_jobs} cores here", slow, fast, "the plain loops use one")


def print_step(step, slow, fast, note):
    cells = f"{'':9}{fast:9.4f}{'':7}"
    if slow is not None:
        cells = f"{slow:9.3f}{fast:9.4f}{slow / fast:7.0f}"
    print(f"{step:32}{cells}   {note}".rstrip(), flush=True)


def print_growth(args, local, proximal):
    """Print the library's milliseconds for other numbers of pixels and superpixels."""
    height, width = args.size
    cases = [(factor, args.n_segments) for factor in (0.5, 1, 2)]
    cases += [(1, int(args.n_segments * factor)) for factor in (0.5, 2)]
    columns, titles = [], []
    for factor, n_segments in cases:
        image = photograph(int(height * factor), int(width * factor))
        library = Library(image, n_segments, local, proximal)
        steps = library.steps | {"all of it": library.run}
        columns.append([1e3 * seconds(step, args.runs) for step in steps.values()])
        titles.append(f"{factor**2:g} x, {n_segments}")
    print("\nmilliseconds of the library: times the pixels, superpixels asked for")
    print(f"{'step':32}" + "".join(f"{title:>12}" for title in titles))
    for step, *row in zip(steps, *columns, strict=True):
        print(f"{step:32}" + "".join(f"{value:12.2f}" for value in row))


def boundary_recall(segments, mask, tolerance=2):
    """Count the boundary pixels of a mask, and those near a superpixel's boundary."""
    truth, ours = (
        np.pad(x[1:] != x[:-1], ((0, 1), (0, 0)))
        | np.pad(x[:, 1:] != x[:, :-1], ((0, 0), (0, 1)))
        for x in (mask, segments)
    )
    near = maximum_filter(ours, size=2 * tolerance + 1)
    return truth.sum(), (truth & near).sum()


def compare_superpixels(args):
    name, images, masks = load_photographs(args)
    theirs = [plain.superpixels(image, args.n_segments) for image in images]
    theirs = [SegmentedImage(*pair) for pair in zip(images, theirs, strict=True)]
    # More superpixels than theirs would have an advantage.
    ours = [
        SuperpixelSegmenter(int(0.95 * s.n_segments)).transform([s.image])[0]
        for s in theirs
    ]
    print(f"\nSLIC on {len(images)} {name}, in percent")
    print(f"{'':32}{'superpixels':>12}{'boundary recall':>17}{'ceiling':>9}")
    for title, maps in (("scikit-image", theirs), ("library", ours)):
        counts = [
            boundary_recall(s.segments, mask)
            for s, mask in zip(maps, masks, strict=True)
        ]
        total, found = np.sum(counts, axis=0)
        best = measure(masks, ceiling(masks, maps))[0]
        number = np.mean([s.n_segments for s in maps])
        print(f"{title:32}{number:12.0f}{100 * found / total:17.2f}{best:9.2f}")


def main():
    args = parse_arguments()
    cv2.setNumThreads(1)
    with threadpool_limits(1):
        print_setup(args)
        print("one thread; seconds of the processor, median of the runs")
        image = photograph(*args.size)
        superpixels = SuperpixelSegmenter(args.n_segments).transform([image])
        local, proximal = (
            level(random_state=args.seed).fit(superpixels)
            for level in (LocalFeatures, ProximalFeatures)
        )
        library = Library(image, args.n_segments, local, proximal)
        compare_throughput(args, library, compare_steps(args, library))
        print_growth(args, local, proximal)
        compare_superpixels(args)


if __name__ == "__main__":
    main()
