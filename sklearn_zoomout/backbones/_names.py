"""The names of the networks, with their preprocessing and layers."""

import difflib
from collections.abc import Callable
from typing import Any

from ._spec import IMAGENET_MEAN, IMAGENET_STD, TIMM, BackboneSpec
from ._timm import find_timm

_HALF = (0.5, 0.5, 0.5)
# Caffe's networks were trained on 0..255 without a division by a deviation.
_CAFFE_STD = (1 / 255, 1 / 255, 1 / 255)

# torchvision's families of convolutional classifiers, by the beginning of their
# names, and the module of the last map before the pooling over all positions.
_LAST_MAP = {
    "alexnet": "features",
    "vgg": "features",
    "squeezenet": "features",
    "mobilenet_": "features",
    "efficientnet": "features",
    "convnext": "features",
    "densenet": "features",
    "mnasnet": "layers",
    "resnet": "layer4",
    "resnext": "layer4",
    "wide_resnet": "layer4",
    "regnet": "trunk_output",
    "shufflenet": "conv5",
    "googlenet": "inception5b",
    "inception_v3": "Mixed_7c",
    "swin": "permute",
}
# Families whose own feature vector is the last fully connected layer (fc7, 4,096
# units), as in the paper's section 4.2.3, and not a pooled map.
_WITH_FC7 = ("alexnet", "vgg")
# Networks that were trained on x / 127.5 - 1 and not on ImageNet's mean and deviation.
_CENTERED = ("googlenet", "inception_v3", "efficientnet_v2_l")


#: The backbones whose weights come with the library. The first is the default.
EMBEDDED = ("zoomnet", "zoomnet_large")

_SPECS = [
    # Of these three the last maps at strides 16 and 32.
    BackboneSpec("zoomnet", "ZoomNet", ("blocks.12", "blocks.15"), _HALF, _HALF),
    BackboneSpec(
        "zoomnet_large", "ZoomNetLarge", ("blocks.16", "blocks.21"), _HALF, _HALF
    ),
    BackboneSpec(
        "mobilenet_edgetpu_100",
        "MobileNetEdgeTPU",
        ("blocks.16", "blocks.21"),
        *(_HALF, _HALF),
        same_padding=True,
    ),
    # The weights of TensorFlow 2 have another preprocessing and another padding.
    BackboneSpec(
        "mobilenet_v2_tf2",
        "mobilenet_v2",
        ("features",),
        *(_HALF, _HALF),
        same_padding=True,
    ),
    # The average of the authors' mean image. The image itself cannot be subtracted,
    # since regions and whole images have other sizes.
    BackboneSpec(
        "cnn_s",
        "CNNS",
        ("features",),
        (123.51 / 255, 115.773 / 255, 102.717 / 255),
        _CAFFE_STD,
        bgr=True,
        has_fc7=True,
    ),
    # The authors' own weights (gist.github.com/ksimonyan/211839e770f7b538e2d8).
    BackboneSpec(
        "vgg16_caffe",
        "vgg16",
        ("features",),
        (123.68 / 255, 116.779 / 255, 103.939 / 255),
        _CAFFE_STD,
        bgr=True,
        has_fc7=True,
    ),
]
_NOT_OF_TORCHVISION = {spec.name: spec for spec in _SPECS}


def known_backbones() -> list[str]:
    """List the names that a ``backbone`` parameter accepts.

    Returns
    -------
    names : list of str
        Sorted: "zoomnet" and "zoomnet_large", which come with the library,
        torchvision's convolutional classifiers, and "cnn_s", "vgg16_caffe",
        "mobilenet_v2_tf2" and "mobilenet_edgetpu_100".

    Examples
    --------
    >>> from sklearn_zoomout.backbones import known_backbones
    >>> "zoomnet" in known_backbones()
    True
    """
    models = import_torchvision().models
    names = models.list_models(module=models)
    of_torchvision = {name for name in names if name.startswith(tuple(_LAST_MAP))}
    return sorted(of_torchvision | set(_NOT_OF_TORCHVISION))


def find_backbone(backbone: str | Callable[[], Any]) -> BackboneSpec:
    """Find the preprocessing and the layers of a network.

    Parameters
    ----------
    backbone : str or callable
        A name of `known_backbones`, or a callable without arguments that returns a
        ``torch.nn.Module`` from standardized images (N, 3, H, W) to maps (N, C, h, w).
        "timm:NAME" is the model NAME of timm.

    Returns
    -------
    spec : BackboneSpec
        Its description.

    Raises
    ------
    ImportError
        If the name is of torchvision or timm, and that is not installed.
    ValueError
        If the name is unknown.
    """
    if callable(backbone):
        return BackboneSpec(getattr(backbone, "__name__", repr(backbone)), "", ("",))
    if backbone in _NOT_OF_TORCHVISION:
        return _NOT_OF_TORCHVISION[backbone]
    if backbone.startswith(TIMM):
        return find_timm(backbone)
    known = known_backbones()
    if backbone not in known:
        wanted = str(backbone).lower()
        close = difflib.get_close_matches(wanted, known, n=3, cutoff=0.5)
        hint = f" Did you mean {' or '.join(map(repr, close))}?" if close else ""
        raise ValueError(
            f"backbone: expected one of the known networks, got {backbone!r}.{hint} "
            f"Known are: {', '.join(known)}; or '{TIMM}NAME' for the model NAME of "
            "timm, or pass a callable that returns a torch.nn.Module."
        )
    family = next(f for f in _LAST_MAP if backbone.startswith(f))
    centered = backbone in _CENTERED
    return BackboneSpec(
        name=backbone,
        architecture=backbone,
        maps=(_LAST_MAP[family],),
        mean=_HALF if centered else IMAGENET_MEAN,
        std=_HALF if centered else IMAGENET_STD,
        has_fc7=family in _WITH_FC7,
    )


def import_torchvision() -> Any:
    """Import torchvision, or raise an error that says what to install."""
    try:
        import torchvision
    except (ImportError, RuntimeError) as error:
        raise ImportError(
            f"Backbones other than {' and '.join(map(repr, EMBEDDED))} need "
            "torchvision in a build that matches torch's; install both from the same "
            "place: "
            "pip install torch torchvision. "
            f"(Importing it failed with: {error})"
        ) from error
    return torchvision
