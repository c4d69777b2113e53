"""Images that are much larger than those of fit: agreement, memory and time.

A mosaic is made of photographs of Stanford Background side by side, or of made-up
scenes where that is missing, enlarged three times (``--enlarge``). The default
pipeline, with 2,000 superpixels and ``input_size=960``, learns from crops of
1,000 x 1,000 pixels of it.

"crops"  Share of pixels in which ``model.predict([mosaic])`` agrees with the prediction
         of each crop of 1,000 x 1,000 pixels by itself, which is what fit has seen. The
         same is printed with relative sizes, as before there were tiles, and for crops
         that are shifted by 8 pixels, which no method can surpass by much.
"seams"  Share of pixels in which tiles differ from the prediction of the image at once,
         and the same for the pixels within 16 pixels of a border of two tiles.
"memory" Peak memory above the start, and seconds, for a mosaic in a file. The
         seconds are compared with those of a loop over windows that are cut by hand,
         with the same tiles and margins, each predicted by the pipeline.
"photographs"  Mean IoU on the scribbled photographs, enlarged to some megapixels: fit
         and predict at this size.

    python benchmarks/large_images.py
    python benchmarks/large_images.py --rows crops --megapixels 48
    python benchmarks/large_images.py --rows memory --megapixels 100
"""

import tempfile
import threading
import time
import warnings
from pathlib import Path

import cv2
import numpy as np
from _common import load_photographs, make_parser, print_setup

from sklearn_zoomout import zoomout_pipeline
from sklearn_zoomout.datasets import load_scribbled_photographs
from sklearn_zoomout.exceptions import ScaleWarning
from sklearn_zoomout.metrics import mean_iou
from sklearn_zoomout.tiles import predict_tiles
from sklearn_zoomout.tiles._grid import choose_grid
from sklearn_zoomout.tiles._scale import at_scale_of_fit, block_sides

ROWS = ("crops", "seams", "memory", "photographs")
SIDE = 1000


def parse_arguments():
    parser = make_parser(__doc__)
    parser.add_argument("--rows", nargs="+", choices=ROWS, default=list(ROWS))
    parser.add_argument("--megapixels", type=float, help="of the mosaic")
    parser.add_argument("--images", type=int, default=300, help="photographs to use")
    parser.add_argument("--fit-crops", type=int, help="crops to learn from, not all")
    parser.add_argument("--enlarge", type=float, default=3, help="the photographs")
    parser.add_argument("--seed", type=int, default=0)
    return parser.parse_args()


def make_mosaic(pictures, n_rows, n_columns, fill):
    """Put pictures side by side, again from the first when they are used up."""
    shape = (n_rows, n_columns, *pictures[0].shape[2:])
    mosaic = np.full(shape, fill, dtype=pictures[0].dtype)
    height, width = pictures[0].shape[:2]
    k = 0
    for top in range(0, n_rows, height):
        for left in range(0, n_columns, width):
            picture = pictures[k % len(pictures)][: n_rows - top, : n_columns - left]
            mosaic[top : top + picture.shape[0], left : left + picture.shape[1]] = (
                picture
            )
            k += 1
    return mosaic


def of_one_size(images, masks):
    """Return the images of the most frequent size, and their masks."""
    shapes = [image.shape for image in images]
    shape = max(set(shapes), key=shapes.count)
    return zip(
        *[(i, m) for i, m in zip(images, masks, strict=True) if i.shape == shape],
        strict=True,
    )


def crops_of(array):
    """Return the crops of 1,000 x 1,000 pixels of an array, row by row."""
    height, width = array.shape[:2]
    return [
        array[top : top + SIDE, left : left + SIDE]
        for top in range(0, height - SIDE + 1, SIDE)
        for left in range(0, width - SIDE + 1, SIDE)
    ]


def fit(args, images, masks):
    """Fit the pipeline to some crops of the mosaic, evenly over it."""
    shape = size_of(args.megapixels or 48)
    crops = crops_of(make_mosaic(images, *shape, 0))
    labels = crops_of(make_mosaic(masks, *shape, -1))
    n = min(args.fit_crops or len(crops), len(crops))
    chosen = np.linspace(0, len(crops) - 1, n).astype(int)
    model = zoomout_pipeline(n_segments=2000, input_size=960, random_state=args.seed)
    return model.fit([crops[i] for i in chosen], [labels[i] for i in chosen])


def size_of(megapixels):
    """Return height and width, 3 to 4, in whole crops."""
    n = megapixels * 1e6 / SIDE**2
    n_rows = max(round((n * 3 / 4) ** 0.5), 1)
    return n_rows * SIDE, max(round(n / n_rows), 1) * SIDE


def print_crops(model, images, megapixels):
    mosaic = make_mosaic(images, *size_of(megapixels), 0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ScaleWarning)
        labels = model.predict([mosaic])[0]
    one_by_one = model.predict(crops_of(mosaic))
    expected = make_mosaic(list(one_by_one), *mosaic.shape[:2], 0)
    shifted = model.predict(crops_of(mosaic[8:, 8:]))
    again = make_mosaic(
        list(shifted), mosaic.shape[0] - SIDE, mosaic.shape[1] - SIDE, 0
    )
    floor = np.mean(again == expected[8:, 8:][: again.shape[0], : again.shape[1]])
    model.set_params(tile_above=None)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ScaleWarning)
        relative = model.predict([mosaic])[0]
    model.set_params(tile_above=16_000_000)
    print(
        f"{mosaic.shape[0]} x {mosaic.shape[1]} pixels agree with their crops: "
        f"{np.mean(labels == expected):.2%} in tiles, "
        f"{np.mean(relative == expected):.2%} at once with relative sizes, "
        f"{floor:.2%} in crops that are shifted by 8 pixels"
    )


def print_seams(model, images, megapixels):
    mosaic = make_mosaic(images, *size_of(megapixels), 0)
    size = 1024
    tiles = predict_tiles(model, mosaic, tile_size=size)
    at_once = predict_tiles(model, mosaic, tile_size=None)
    differ = tiles != at_once
    near = np.zeros(mosaic.shape[:2], dtype=bool)
    for tile in grid_of(model).tiles(mosaic.shape[:2], size):
        near[max(tile.top - 16, 0) : tile.top + 16, tile.left : tile.right] = True
        near[tile.top : tile.bottom, max(tile.left - 16, 0) : tile.left + 16] = True
    print(
        f"{mosaic.shape[0]} x {mosaic.shape[1]} pixels in tiles of about {size} differ "
        f"from the prediction at once in {differ.mean():.3%} of the pixels, in "
        f"{differ[near].mean():.3%} of those near borders"
    )


def grid_of(model):
    scaled = at_scale_of_fit(model)
    return choose_grid(scaled.steps[0][1].cell_side, block_sides(scaled), None)


def resident():
    """Return the memory of this process in bytes."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * 4096


class PeakMemory:
    """The most memory that the process has while a block runs, in bytes."""

    def __enter__(self):
        self.start = self.peak = resident()
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._watch)
        self._thread.start()
        return self

    def _watch(self):
        while not self._done.wait(0.02):
            self.peak = max(self.peak, resident())

    def __exit__(self, *_):
        self._done.set()
        self._thread.join()


def print_memory(model, images, megapixels):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "mosaic.npy"
        shape = size_of(megapixels)
        mosaic = np.lib.format.open_memmap(path, "w+", np.uint8, (*shape, 3))
        for top in range(0, shape[0], SIDE):
            band = make_mosaic(images[top // SIDE :], SIDE, shape[1], 0)
            mosaic[top : top + SIDE] = band
        mosaic.flush()
        del mosaic
        model.predict([images[0]])  # loads all that is loaded once
        output = Path(folder) / "labels.tif"
        with PeakMemory() as memory:
            start = time.perf_counter()
            predict_tiles(model, path, output=output)
            in_tiles = time.perf_counter() - start
        mosaic = np.load(path, mmap_mode="r")
        start = time.perf_counter()
        by_hand = np.empty(shape, dtype=np.uint8)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ScaleWarning)
            plain = at_scale_of_fit(model).set_params(tile_above=None)
            for tile in grid_of(model).tiles(shape, 2048):
                top, left, bottom, right = tile.window
                labels = plain.predict([mosaic[top:bottom, left:right]])[0]
                inside = labels[tile.inside]
                by_hand[tile.top : tile.bottom, tile.left : tile.right] = inside
        by_loop = time.perf_counter() - start
    print(
        f"{shape[0]} x {shape[1]} pixels in a file: {in_tiles:.1f} s, "
        f"{in_tiles / by_loop:.2f} times the {by_loop:.1f} s of windows by hand; peak "
        f"{(memory.peak - memory.start) / 1e9:.2f} GB above the start"
    )


def print_photographs(megapixels):
    data = load_scribbled_photographs()
    for target in (0.27, megapixels):
        images, masks, checks = [], [], []
        for image, mask, check in zip(
            data.images, data.scribbles, data.checks, strict=True
        ):
            scale = max((target * 1e6 / mask.size) ** 0.5, 1)
            images.append(resize(image, scale, cv2.INTER_CUBIC))
            masks.append(resize(mask, scale, cv2.INTER_NEAREST))
            checks.append(resize(check, scale, cv2.INTER_NEAREST))
        model = zoomout_pipeline(random_state=0).fit(images, masks)
        predicted = model.predict(images)
        size = "as they are" if target < 1 else f"enlarged to {target:.0f} megapixels"
        print(f"scribbled photographs {size}: IoU {mean_iou(checks, predicted):.1%}")


def resize(array, scale, interpolation):
    kept = array.astype(np.int16) if array.dtype.kind == "i" else array
    size = (round(array.shape[1] * scale), round(array.shape[0] * scale))
    return cv2.resize(kept, size, interpolation=interpolation)


def main():
    args = parse_arguments()
    print_setup(args)
    model = None
    if set(args.rows) - {"photographs"}:
        description, images, masks = load_photographs(args)
        images, masks = of_one_size(images, masks)
        images = [resize(image, args.enlarge, cv2.INTER_CUBIC) for image in images]
        masks = [resize(mask, args.enlarge, cv2.INTER_NEAREST) for mask in masks]
        print(f"{len(images)} {description} in mosaics")
        model = fit(args, images, masks)
    for row in args.rows:
        if row == "crops":
            print_crops(model, images, args.megapixels or 48)
        elif row == "seams":
            print_seams(model, images, args.megapixels or 12)
        elif row == "memory":
            print_memory(model, images, args.megapixels or 100)
        else:
            print_photographs(args.megapixels or 10)


if __name__ == "__main__":
    main()
