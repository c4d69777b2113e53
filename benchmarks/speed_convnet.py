"""The speed of the convnet levels: one forward pass per image, or one per region.

It prints two tables, for one photograph of scikit-image's, resized:

- the seconds of the distant level with ``pooling="roi"`` and with ``pooling="crop"``,
  the paper's way, and those of all levels of the preset "fast". The difference in
  accuracy is measured by ``stanford_background.py`` with ``--pooling crop``;
- the multiplications and additions per second of a forward pass over an image of
  480 x 640 pixels, counted by torch, and those of a product of two matrices on the same
  threads.

    python benchmarks/speed_convnet.py
    python benchmarks/speed_convnet.py --backbone squeezenet1_1 --weights none
    python benchmarks/speed_convnet.py --device cuda
"""

import os

import cv2
import skimage.data
import torch
from _common import make_parser, median_seconds, print_setup
from torch.utils.flop_counter import FlopCounterMode

from sklearn_zoomout import (
    Backbone,
    ConvnetRegionFeatures,
    ConvnetSuperpixelFeatures,
    GlobalFeatures,
    SuperpixelSegmenter,
    ZoomoutUnion,
)
from sklearn_zoomout.backbones import load_network

MATRIX = 2048


def parse_arguments():
    parser = make_parser(__doc__)
    parser.add_argument("--size", type=int, nargs=2, default=[375, 500])
    parser.add_argument(
        "--backbone", default="zoomnet", help="network of the first table"
    )
    parser.add_argument("--weights", default="default", help='a path, or "none"')
    parser.add_argument(
        "--passes",
        nargs="+",
        default=["vgg16", "squeezenet1_0", "zoomnet"],
        metavar="BACKBONE",
        help="networks of the second table, with random weights",
    )
    parser.add_argument("--n-segments", type=int, default=500)
    parser.add_argument("--device", default="cpu")
    parser.add_argument(
        "--dtype", default="float32", help="precision of networks and matrices"
    )
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    return parser.parse_args()


def timed(args, work, rounds=None):
    """Return the median seconds of a function on --device."""

    def finish():
        work()
        if args.device != "cpu":
            torch.cuda.synchronize()

    return median_seconds(finish, rounds or args.rounds)


def compare_poolings(args):
    image = cv2.resize(skimage.data.coffee(), args.size[::-1])
    superpixels = SuperpixelSegmenter(args.n_segments).transform([image])
    weights = None if args.weights == "none" else args.weights
    backbone = Backbone(args.backbone, weights, device=args.device, dtype=args.dtype)
    crop = ConvnetRegionFeatures(backbone, pooling="crop").fit(superpixels)
    roi = ConvnetRegionFeatures(backbone).fit(superpixels)
    levels = [
        ("distant", ConvnetRegionFeatures()),
        ("global", GlobalFeatures()),
        ("maps", ConvnetSuperpixelFeatures()),
    ]
    union = ZoomoutUnion(levels, backbone=backbone).fit(superpixels)
    seconds = {
        "distant, crop": timed(args, lambda: crop.transform(superpixels), 1),
        "distant, roi": timed(args, lambda: roi.transform(superpixels)),
        "distant, global and maps": timed(args, lambda: union.transform(superpixels)),
    }
    print(f"\n{superpixels[0]}, {args.backbone}\n{'':28s}     seconds   crop / this")
    for name, value in seconds.items():
        print(f"{name:28s}{value:12.4f}{seconds['distant, crop'] / value:14.1f}")


def matrix_rate(args):
    """Return the operations per second of a product of square matrices."""
    dtype = getattr(torch, args.dtype)
    a, b = torch.rand(2, MATRIX, MATRIX, device=args.device, dtype=dtype)
    return 2 * MATRIX**3 / timed(args, lambda: a @ b)


def pass_rate(args, name):
    """Return the operations of a forward pass, as torch counts, and their rate."""
    backbone = Backbone(name, None, device=args.device, dtype=args.dtype)
    network = load_network(backbone)
    layers = network.taps().layers
    image = torch.rand(1, 3, 480, 640, device=args.device)
    with FlopCounterMode(display=False) as counter:
        network.maps(image, layers)
    operations = counter.get_total_flops()
    return operations, operations / timed(args, lambda: network.maps(image, layers))


def compare_rates(args):
    print("\nbillions of multiplications and additions")
    print(f"{'':28s}{'counted':>12s}{'a second':>12s}{'of product':>12s}")
    for name in args.passes:
        product = matrix_rate(args)
        operations, rate = pass_rate(args, name)
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
