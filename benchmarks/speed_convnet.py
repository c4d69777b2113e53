"""The convnet levels: regions pooled from one pass against one pass a region.

Two tables, on one photograph of scikit-image's, resized:

- seconds of the distant level with ``pooling="roi"`` and with ``pooling="crop"``, the
  paper's way, and of the whole extraction of the preset "fast". How much accuracy the
  shortcut costs is printed by ``stanford_background.py`` with ``--pooling crop``.
- multiplications and additions per second of passes over an image of 480 x 640 pixels,
  counted by torch, beside those of a product of two matrices on the same threads.

    python benchmarks/speed_convnet.py
    python benchmarks/speed_convnet.py --backbone squeezenet1_1 --weights none
    python benchmarks/speed_convnet.py --device cuda --batch-size 64
"""

import argparse
import os
import time

import cv2
import numpy as np
import skimage.data
import torch
from _common import print_setup
from torch.utils.flop_counter import FlopCounterMode

from sklearn_zoomout import (
    ConvnetRegionFeatures,
    ConvnetSuperpixelFeatures,
    GlobalFeatures,
    SuperpixelSegmenter,
    ZoomoutUnion,
)
from sklearn_zoomout.backbones import load_network

MATRIX = 2048


def parse_arguments():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--size", type=int, nargs=2, default=[375, 500])
    parser.add_argument("--backbone", default="zoomnet", help="of the first table")
    parser.add_argument("--weights", default="default", help='path, or "none"')
    parser.add_argument(
        "--passes",
        nargs="+",
        default=["vgg16", "squeezenet1_0", "zoomnet"],
        metavar="BACKBONE",
        help="of the second table, with random weights",
    )
    parser.add_argument("--n-segments", type=int, default=500)
    parser.add_argument("--batch-size", type=int, default=16)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--dtype", default="float32", help="of networks and matrices")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    return parser.parse_args()


def timed(work, rounds, device):
    """Median seconds of a function, after a first call that warms up."""
    seconds = []
    for _ in range(rounds + 1):
        start = time.perf_counter()
        work()
        if device != "cpu":
            torch.cuda.synchronize()
        seconds.append(time.perf_counter() - start)
    return np.median(seconds[1:])


def compare_poolings(args):
    image = cv2.resize(skimage.data.coffee(), args.size[::-1])
    superpixels = SuperpixelSegmenter(args.n_segments).transform([image])
    weights = None if args.weights == "none" else args.weights
    common = {"backbone": args.backbone, "weights": weights}
    common |= {"device": args.device, "dtype": args.dtype}
    crop = ConvnetRegionFeatures(
        pooling="crop", batch_size=args.batch_size, **common
    ).fit(superpixels)
    roi = ConvnetRegionFeatures(**common).fit(superpixels)
    union = ZoomoutUnion(
        [
            ("distant", roi),
            ("global", GlobalFeatures(**common)),
            ("maps", ConvnetSuperpixelFeatures(**common)),
        ]
    ).fit(superpixels)
    seconds = {
        "distant, crop": timed(lambda: crop.transform(superpixels), 1, args.device),
        "distant, roi": timed(
            lambda: roi.transform(superpixels), args.rounds, args.device
        ),
        "distant, global and maps": timed(
            lambda: union.transform(superpixels), args.rounds, args.device
        ),
    }
    print(f"\n{superpixels[0]}, {args.backbone}\n{'':28s}     seconds   crop / this")
    for name, value in seconds.items():
        print(f"{name:28s}{value:12.4f}{seconds['distant, crop'] / value:14.1f}")


def count_operations(network, image):
    """Multiplications and additions of a pass, as counted by torch."""
    counter = FlopCounterMode(display=False)
    with counter:
        network.maps(image)
    return counter.get_total_flops()


def matrix_rate(args):
    """Multiplications and additions per second of a product of square matrices."""
    dtype = getattr(torch, args.dtype)
    a, b = torch.rand(2, MATRIX, MATRIX, device=args.device, dtype=dtype)
    return 2 * MATRIX**3 / timed(lambda: a @ b, args.rounds, args.device)


def compare_rates(args):
    print(
        f"\nbillions of multiplications and additions\n{'':28s}{'counted':>12s}", end=""
    )
    print(f"{'a second':>12s}{'of product':>12s}")
    for name in args.passes:
        network = load_network(name, None, device=args.device, dtype=args.dtype)
        image = torch.rand(1, 3, 480, 640, device=args.device)
        operations = count_operations(network, image)
        product = matrix_rate(args)
        seconds = timed(lambda: network.maps(image), args.rounds, args.device)  # noqa: B023
        rate = operations / seconds
        cells = f"{operations / 1e9:12.1f}{rate / 1e9:12.1f}{rate / product:12.0%}"
        print(f"{name:28s}{cells}")


def main():
    args = parse_arguments()
    torch.set_num_threads(args.threads)
    print_setup(args)
    with torch.inference_mode():
        compare_rates(args)
    compare_poolings(args)


if __name__ == "__main__":
    main()
