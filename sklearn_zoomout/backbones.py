"""Names of ImageNet networks -> frozen networks and where they are tapped.

A backbone is a name (any convolutional classifier of torchvision, or a variant of
this module), or a callable that returns a ``torch.nn.Module``. It is never a module
itself, because ``clone`` would copy all of its weights. Networks are built when they
are first used.
"""

import copy
import difflib
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from . import weights as _weights
from .network import FrozenNetwork

if TYPE_CHECKING:
    import torch

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)
_HALF = (0.5, 0.5, 0.5)

# torchvision's families of convolutional classifiers, by the beginning of their
# names, and the module that gives the last map before the pooling over all positions.
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

# Building a network seeds torch's global generator and restores it afterwards: only
# one thread may do so at a time.
_BUILDING = threading.RLock()


@dataclass(frozen=True)
class BackboneSpec:
    """What is known of a backbone before anything of it is loaded.

    Attributes
    ----------
    name : str
        Name for users.
    architecture : str
        Name of torchvision's constructor, "" for a network of the user's own.
    last_map : str
        Name of the module that gives the last feature map; "" is the whole network.
    mean, std : tuple of 3 floats
        Standardization of RGB in [0, 1].
    same_padding : bool
        Whether strided convolutions are padded as TensorFlow's "SAME".
    has_fc7 : bool
        Whether the network's own feature vector is its last hidden layer.
    """

    name: str
    architecture: str
    last_map: str
    mean: tuple[float, float, float] = IMAGENET_MEAN
    std: tuple[float, float, float] = IMAGENET_STD
    same_padding: bool = False
    has_fc7: bool = False


_VARIANTS = {
    # The weights of TensorFlow 2: other preprocessing and other padding.
    "mobilenet_v2_tf2": BackboneSpec(
        "mobilenet_v2_tf2", "mobilenet_v2", "features", _HALF, _HALF, same_padding=True
    ),
}


def known_backbones() -> list[str]:
    """List the names that a ``backbone`` parameter accepts.

    Returns
    -------
    names : list of str
        Sorted names of torchvision's convolutional classifiers and our variants.

    Examples
    --------
    >>> from sklearn_zoomout.backbones import known_backbones
    >>> "squeezenet1_0" in known_backbones()
    True
    """
    models = _import_torchvision().models
    names = models.list_models(module=models)
    return sorted({n for n in names if n.startswith(tuple(_LAST_MAP))} | set(_VARIANTS))


def find_backbone(backbone: str | Callable[[], Any]) -> BackboneSpec:
    """Find what is known of a backbone.

    Parameters
    ----------
    backbone : str or callable
        A name of `known_backbones`, or a callable without arguments that returns a
        ``torch.nn.Module`` from standardized images (N, 3, H, W) to maps (N, C, h, w).

    Returns
    -------
    spec : BackboneSpec
        Its description.

    Raises
    ------
    ValueError
        If the name is unknown.
    """
    if callable(backbone):
        return BackboneSpec(getattr(backbone, "__name__", repr(backbone)), "", "")
    if backbone in _VARIANTS:
        return _VARIANTS[backbone]
    known = known_backbones()
    if backbone not in known:
        close = difflib.get_close_matches(str(backbone), known, n=3, cutoff=0.5)
        hint = f" Did you mean {' or '.join(map(repr, close))}?" if close else ""
        raise ValueError(
            f"backbone: expected one of the known networks, got {backbone!r}.{hint} "
            f"Known are: {', '.join(known)}; or pass a callable that returns a "
            "torch.nn.Module."
        )
    family = next(f for f in _LAST_MAP if backbone.startswith(f))
    centered = backbone in _CENTERED
    return BackboneSpec(
        name=backbone,
        architecture=backbone,
        last_map=_LAST_MAP[family],
        mean=_HALF if centered else IMAGENET_MEAN,
        std=_HALF if centered else IMAGENET_STD,
        has_fc7=family in _WITH_FC7,
    )


def load_network(
    backbone: str | Callable[[], Any],
    weights: Any = "default",
    layers: Sequence[str] | None = None,
    device: str = "cpu",
    seed: int = 0,
) -> FrozenNetwork:
    """Build a network, load its weights, freeze it.

    Parameters
    ----------
    backbone : str or callable
        See `find_backbone`.
    weights : "default", str, path or None, default="default"
        See `sklearn_zoomout.weights.find_weights`; None for random weights. The
        default for a callable is the network as the callable returns it.
    layers : sequence of str or None, default=None
        See `FrozenNetwork`.
    device : str, default="cpu"
        Device of torch.
    seed : int, default=0
        Seed of random weights.

    Returns
    -------
    network : FrozenNetwork
        Ready to use.

    Raises
    ------
    ValueError
        If the backbone, a layer or the device is unknown, or the weights are not
        usable.
    """
    check_device(device)
    _refuse_module(backbone)
    spec = find_backbone(backbone)
    own = callable(backbone)
    if weights is None or (own and isinstance(weights, str) and weights == "default"):
        module = _build(backbone, spec, seed)
        state = module.state_dict()
        source, sha256 = "random" if weights is None else "callable", None
    else:
        found = _weights.find_weights(spec, weights)
        spec = found.spec
        state, sha256 = _weights.read_weights(found)
        module = _build(backbone, spec, seed, meta=not own)
        _weights.load_state(module, state, found, fc7=spec.has_fc7 and layers is None)
        source = str(found.path)
    sha256 = _weights.digest_tensors(state) if sha256 is None else sha256
    network = FrozenNetwork(module, spec, layers, device)
    network.source, network.sha256 = source, sha256
    return network


def check_device(device: str) -> None:
    """Raise ValueError if torch cannot compute on this device; never fall back."""
    import torch

    try:
        if torch.device(device).type == "meta":
            raise RuntimeError("it holds no numbers")
        torch.zeros(1, device=device)
    except (RuntimeError, AssertionError) as error:
        raise ValueError(
            f"device={device!r} cannot be used here: {str(error).splitlines()[0]} "
            "Use device='cpu', or a torch and a driver that support it."
        ) from error


def _build(
    backbone: str | Callable[[], Any], spec: BackboneSpec, seed: int, meta: bool = False
) -> "torch.nn.Module":
    """Build the network with random weights, or with none of them (`meta`)."""
    import torch

    def build() -> torch.nn.Module:
        if callable(backbone):
            # The network is changed by us (frozen, moved): not the caller's own.
            return copy.deepcopy(_check_module(backbone())).float()
        options: dict[str, Any] = {"weights": None}
        if spec.architecture in ("googlenet", "inception_v3"):
            options["init_weights"] = not meta  # warns when left to its default
        models = _import_torchvision().models
        return models.get_model(spec.architecture, **options)

    with _BUILDING, torch.random.fork_rng(devices=[]):
        torch.random.default_generator.manual_seed(seed)
        if meta and not spec.architecture.startswith("regnet"):
            # No memory and no time for random numbers that weights will replace.
            # (RegNet computes its widths with tensors, which meta tensors cannot.)
            with torch.device("meta"):
                return build()
        return build()


def _refuse_module(backbone: Any) -> None:
    import torch

    if isinstance(backbone, torch.nn.Module):
        raise TypeError(
            "backbone: expected a name or a callable that builds the network, got the "
            f"network itself ({type(backbone).__name__}); clone would copy its "
            "weights. Pass a function that returns it."
        )


def _check_module(module: Any) -> "torch.nn.Module":
    import torch

    if not isinstance(module, torch.nn.Module):
        raise TypeError(
            "backbone: the callable must return a torch.nn.Module, got "
            f"{type(module).__name__}."
        )
    return module


def _import_torchvision() -> Any:
    try:
        import torchvision
    except (ImportError, RuntimeError) as error:
        raise ImportError(
            "Named backbones need torchvision in a build that matches torch's; "
            "install both from the same place: pip install torch torchvision. "
            f"(Importing it failed with: {error})"
        ) from error
    return torchvision
