"""The description of a network: all that decides what it computes."""

import os
import re
from collections.abc import Callable
from dataclasses import KW_ONLY, dataclass
from numbers import Integral
from typing import Any, ClassVar

from sklearn.utils._param_validation import Interval, StrOptions

from .._utils.frozen_params import FrozenParams
from ._training import FineTuning

_SHA256 = re.compile(r"[0-9a-fA-F]{64}")


@dataclass(frozen=True, repr=False)
class Backbone(FrozenParams):
    """A network of the convnet levels: its name, its weights, how it computes.

    It never changes, can be compared, hashed and printed, and holds no weights itself.
    The network is loaded when it is needed. Levels with equal backbones share the
    loaded network, and in a `ZoomoutUnion` also its forward passes.

    Parameters
    ----------
    name : str or callable, default="zoomnet"
        - "zoomnet": a small network that comes with the library, weights included;
        - "zoomnet_large": a more accurate one that also comes with it, and takes over
          twice the time;
        - a convolutional classifier of torchvision, such as "squeezenet1_0" or
          "vgg16" (the paper's), or "mobilenet_v2_tf2" (torchvision's MobileNet V2
          with TensorFlow's preprocessing and padding);
        - "cnn_s", the paper's other network, and "vgg16_caffe", VGG-16 with Caffe's
          preprocessing: 0..255 in the order BGR, minus the mean over ImageNet;
        - "mobilenet_edgetpu_100";
        - "timm:NAME", the convolutional model NAME of timm, such as
          "timm:mobilenetv3_small_100" or, with the name of its weights,
          "timm:resnet18.a1_in1k" (needs ``pip install timm``);
        - a callable without arguments that returns a ``torch.nn.Module`` from images
          standardized by ImageNet's mean and deviation (N, 3, H, W) to feature maps
          (N, C, h, w).
    weights : "default", str, path or None, default="default"
        - "default": for "zoomnet" and "zoomnet_large" the weights of the library. For
          others a file in the folder that the environment variable
          SKLEARN_ZOOMOUT_WEIGHTS names, if its name begins with the backbone's (a file
          for "timm:NAME" begins with timm_NAME, dots included); otherwise torchvision's
          ImageNet weights, or timm's own, downloaded with a progress bar unless they
          have been already. For a callable: the weights of the network that it returns.
        - a path: a .safetensors file or a state dict (.pth, .pt). No code in it is run.
          Such files have no checksum: state it as ``weights_sha256``.
        - None: random weights.
    weights_sha256 : str, default=None
        The SHA-256 that the weights must have, as 64 hexadecimal digits. Other weights,
        such as a damaged file, are an error. It is what ``sha256sum`` prints for a
        file, and ``weights_sha256_`` of a fitted level: for weights of timm, of a
        callable and random ones, that of their tensors. None checks files that come
        with the library and files that have torchvision's names, whose digests are
        known. In any case a fitted level refuses other weights than those of ``fit``.
    dtype : {"float32", "bfloat16", "float16"}, default="float32"
        The type that the network computes in; features are float32 in any case.
        "bfloat16" is 1.4 to 2 times as fast on processors with instructions for it
        (AVX512-BF16 or AMX; on others it is slower), more so for larger networks, and
        changes features by about a tenth of their deviation. "float16" is meant for
        GPUs. On most processors it is many times slower. It changes features by less
        than a hundredth. Numbers that are too large for it raise an error.
    flip : bool, default=False
        Whether to average the feature maps of an image with those of its mirror image.
        This takes twice the time and is more accurate.
    device : str, default="cpu"
        Device of torch, such as "cuda".
    fine_tune : FineTuning, True or None, default=None
        How the network is trained on the masks of ``fit`` first; see `FineTuning`. True
        is ``FineTuning()``. None leaves the weights as they are.
    random_state : int, default=0
        Seed of random weights and of fine-tuning.

    Raises
    ------
    InvalidParameterError
        A ``ValueError`` and ``TypeError``, if a parameter is out of its range.

    Examples
    --------
    >>> from sklearn_zoomout import Backbone, ConvnetRegionFeatures
    >>> backbone = Backbone("zoomnet", dtype="bfloat16")
    >>> backbone
    Backbone(dtype='bfloat16')
    >>> backbone == Backbone("zoomnet", dtype="bfloat16")
    True
    >>> distant = ConvnetRegionFeatures(backbone).set_params(backbone__flip=True)
    >>> distant.backbone
    Backbone(dtype='bfloat16', flip=True)
    """

    name: str | Callable[[], Any] = "zoomnet"
    weights: str | os.PathLike | None = "default"
    _: KW_ONLY
    weights_sha256: str | None = None
    dtype: str = "float32"
    flip: bool = False
    device: str = "cpu"
    fine_tune: FineTuning | bool | None = None
    random_state: int = 0

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "name": [str, callable],
        "weights": [str, os.PathLike, None],
        "weights_sha256": [str, None],
        "dtype": [StrOptions({"float32", "bfloat16", "float16"})],
        "flip": ["boolean"],
        "device": [str],
        "fine_tune": [FineTuning, "boolean", None],
        "random_state": [Interval(Integral, 0, 2**32 - 1, closed="both")],
    }

    def __post_init__(self) -> None:
        super().__post_init__()
        if isinstance(self.fine_tune, bool):
            chosen = FineTuning() if self.fine_tune else None
            object.__setattr__(self, "fine_tune", chosen)
        if self.weights_sha256 is not None:
            if not _SHA256.fullmatch(self.weights_sha256):
                raise ValueError(
                    "weights_sha256: expected 64 hexadecimal digits, as sha256sum "
                    f"prints them, got {self.weights_sha256!r}."
                )
            object.__setattr__(self, "weights_sha256", self.weights_sha256.lower())

    @property
    def is_callable(self) -> bool:
        """Whether the network is returned by a callable of the user's."""
        return callable(self.name)


#: What the parameter ``backbone`` takes. A name or a callable is short for a Backbone.
BackboneLike = str | Callable[[], Any] | Backbone | None


def as_backbone(backbone: BackboneLike) -> Backbone:
    """Return a `Backbone`; a name or a callable is short for one.

    Parameters
    ----------
    backbone : Backbone, str, callable or None
        What was given; None is the default.

    Returns
    -------
    Backbone
    """
    if backbone is None:
        return Backbone()
    return backbone if isinstance(backbone, Backbone) else Backbone(backbone)
