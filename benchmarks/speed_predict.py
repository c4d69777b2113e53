"""Seconds for one photograph: `predict` of the preset "fast", and other networks.

It measures the library's pipeline without pixels, from the photograph to its labels,
each of its steps, and within the features the two forward passes: over the image, and
over the square of the global level. Then the same with pixels of a small weight, as
they have on photographs, and of the weight 1. It also measures two networks of
torchvision's, LR-ASPP (MobileNetV3) and FCN (ResNet-50), on the same photograph at its
own size. Their scores are resized to the pixels, and every pixel gets the class with
the largest score. All
of them have the same precision and the same threads, and run one after the other in
each round. The weights of torchvision's networks are random, which does not change
the time. The photograph is scikit-image's coffee cup, resized.

    python benchmarks/speed_predict.py
    python benchmarks/speed_predict.py --backbone zoomnet
    python benchmarks/speed_predict.py --dtype bfloat16
    python benchmarks/speed_predict.py --size 240 320 --threads 1

On Linux a part of the time is spent on requests for the same large blocks of memory
from the system. A process keeps these blocks if the environment variables
MALLOC_MMAP_THRESHOLD_ and MALLOC_TRIM_THRESHOLD_ are 1000000000.
"""

import os
import time

import cv2
import numpy as np
import skimage.data
import torch
from _common import make_parser, print_setup
from torchvision.models import segmentation

from sklearn_zoomout import Backbone, zoomout_pipeline
from sklearn_zoomout.datasets import make_scenes
from sklearn_zoomout.pipeline import PRESETS

RIVALS = {
    "LR-ASPP, MobileNetV3": segmentation.lraspp_mobilenet_v3_large,
    "FCN, ResNet-50": segmentation.fcn_resnet50,
}
N_CLASSES = 8
#: The weights of pixels.
WEIGHTS = 0.1, 1.0


def parse_arguments():
    parser = make_parser(__doc__)
    parser.add_argument("--size", type=int, nargs=2, default=[375, 500])
    parser.add_argument("--backbone", default=PRESETS["fast"].backbone)
    parser.add_argument("--dtype", default="float32", help="precision of all networks")
    parser.add_argument("--n-segments", type=int, default=500)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument(
        "--rivals", nargs="*", choices=list(RIVALS), default=list(RIVALS)
    )
    return parser.parse_args()


def fit_pipeline(args, weight=None):
    """Train on made-up scenes, since the accuracy does not matter here."""
    images, masks = make_scenes(n_images=4, random_state=0)
    fast = PRESETS["fast"]
    model = zoomout_pipeline(
        n_segments=args.n_segments,
        backbone=Backbone(args.backbone, dtype=args.dtype),
        input_size=fast.input_size if args.backbone == fast.backbone else None,
        pixels=weight is not None,
        classes=range(N_CLASSES),
        random_state=0,
    )
    if weight is not None:
        model.set_params(classifier__weight=weight)
    return model.fit(images, masks)


def time_steps(model, image):
    """Return the seconds of each step, from the photograph to its labels."""
    seconds, value = {}, [image]
    for name, step in model.steps:
        start = time.perf_counter()
        value = step.transform(value) if name != "classifier" else step.predict(value)
        seconds[f"  {name}"] = time.perf_counter() - start
        if name == "superpixels":
            superpixels = value
        if name == "zoomout":
            seconds |= time_passes(step, superpixels[0])
    return seconds


def time_passes(union, segmented):
    """Return the seconds of the forward passes, a part of those of the features."""
    levels = dict(union.transformer_list)
    maps, square = levels["maps"], levels["global"]
    passes = {
        "over the image": lambda: maps.image_maps(segmented, maps.get_network()),
        "over its square": lambda: square.describe(segmented),
    }
    seconds = {}
    for title, run in passes.items():
        start = time.perf_counter()
        run()
        seconds[f"    pass {title}"] = time.perf_counter() - start
    return seconds


def build_rival(build, dtype):
    """Build a network of torchvision's with random weights."""
    options = {"weights": None, "weights_backbone": None, "num_classes": N_CLASSES}
    net = build(**options).eval()
    if "aux_classifier" in dict(net.named_children()):
        net.aux_classifier = None  # for training only
    return net.to(getattr(torch, dtype), memory_format=torch.channels_last)


def label_pixels(net, image):
    """Label the pixels by a network of torchvision's, which resizes its scores."""
    with torch.inference_mode():
        pixels = torch.from_numpy(image).permute(2, 0, 1)[None].float() / 255
        dtype = next(net.parameters()).dtype
        pixels = pixels.to(dtype, memory_format=torch.channels_last)
        return net(pixels)["out"][0].argmax(dim=0).numpy()


def main():
    args = parse_arguments()
    torch.set_num_threads(args.threads)
    cv2.setNumThreads(args.threads)
    print_setup(args)
    image = cv2.resize(skimage.data.coffee(), args.size[::-1])
    model = fit_pipeline(args)
    with_pixels = {f"with pixels, weight {w}": fit_pipeline(args, w) for w in WEIGHTS}
    rivals = {name: build_rival(RIVALS[name], args.dtype) for name in args.rivals}
    rounds = []
    for _ in range(args.rounds + 1):
        start = time.perf_counter()
        labels = model.predict([image])[0]
        seconds = {"the library's predict": time.perf_counter() - start}
        seconds |= time_steps(model, image)
        for name, other in with_pixels.items():
            start = time.perf_counter()
            other.predict([image])
            seconds[name] = time.perf_counter() - start
        for name, net in rivals.items():
            start = time.perf_counter()
            shape = label_pixels(net, image).shape
            seconds[name] = time.perf_counter() - start
            assert shape == labels.shape
        rounds.append(seconds)
    first, *rounds = rounds  # the first one warms up
    own = np.median([seconds["the library's predict"] for seconds in rounds])
    print(f"\n{'':28s} milliseconds  ratio to predict")
    for name in first:
        median = np.median([seconds[name] for seconds in rounds])
        print(f"{name:28s} {1e3 * median:12.0f} {median / own:17.2f}")


if __name__ == "__main__":
    main()
