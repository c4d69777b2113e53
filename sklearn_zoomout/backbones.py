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

import numpy as np

from . import weights as _weights

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


class FrozenNetwork:
    """A network that is only looked at: maps of named layers, and fc7 if asked for.

    Parameters
    ----------
    module : torch.nn.Module
        The network, with its weights.
    spec : BackboneSpec
        Its description.
    layers : sequence of str or None, default=None
        Names of the modules whose maps are wanted; None for the network's own
        feature vector.
    device : str, default="cpu"
        Where it runs.

    Attributes
    ----------
    layers : tuple of str
        Names of the tapped modules.
    widths : list of int
        Channels of each of them, or the units of fc7.
    head : torch.nn.Module or None
        From maps of `grid` x `grid` cells (N, C, grid, grid) to fc7 after its ReLU
        (N, units); None when the maps themselves are the features.
    grid : int
        Cells per side that a region's map is pooled to.
    source, sha256 : str
        Where the weights came from, and the digest of their file ("random" weights:
        of the tensors).
    """

    source: str
    sha256: str

    def __init__(
        self,
        module: "torch.nn.Module",
        spec: BackboneSpec,
        layers: Sequence[str] | None = None,
        device: str = "cpu",
    ) -> None:
        import torch

        self.spec = spec
        self.layers = (spec.last_map,) if layers is None else tuple(layers)
        self.device = torch.device(device)
        self._lock = threading.Lock()
        _check_layers(module, spec, self.layers)
        self.head, self.grid = None, 1
        if spec.has_fc7:
            if layers is None:
                # Without the 1,000 class scores: the last hidden layer, rectified.
                head = torch.nn.Sequential(
                    torch.nn.Flatten(), *list(module.classifier)[:-1]
                )
                self.head, self.grid = self._freeze(head), module.avgpool.output_size[0]
            module.classifier = torch.nn.Identity()
        if spec.same_padding:
            _pad_as_tensorflow(module)
        self.module = self._freeze(module).to(memory_format=torch.channels_last)
        self._mean = torch.tensor(spec.mean, device=self.device).view(3, 1, 1)
        self._std = torch.tensor(spec.std, device=self.device).view(3, 1, 1)
        self._n_calls: int | None = 1 if layers is None else None
        self.widths = self._probe()

    def prepare(self, rgb: np.ndarray) -> "torch.Tensor":
        """Standardize an image, (H, W, 3) float32 in [0, 1] -> (3, H, W) tensor."""
        import torch

        pixels = torch.from_numpy(np.ascontiguousarray(rgb)).to(self.device)
        return (pixels.permute(2, 0, 1) - self._mean) / self._std

    def maps(self, batch: "torch.Tensor") -> list["torch.Tensor"]:
        """Compute the tapped maps of a batch.

        Parameters
        ----------
        batch : tensor of shape (N, 3, H, W), float32
            Standardized images.

        Returns
        -------
        maps : list of tensors of shape (N, C, h, w), float32
            One per tapped layer, in the order of `layers`.
        """
        import torch

        seen: dict[str, torch.Tensor] = {}
        calls = 0

        def keep(name: str, output: torch.Tensor) -> None:
            nonlocal calls
            calls += 1
            last = calls == self._n_calls
            # Later modules may work in place on what this one returned.
            seen[name] = output if last or not _is_map(output) else output.clone()
            if last:
                raise _SeenEnough

        with self._lock, torch.inference_mode():
            hooks = [
                self.module.get_submodule(name).register_forward_hook(
                    lambda _module, _inputs, output, name=name: keep(name, output)
                )
                for name in self.layers
            ]
            try:
                self.module(batch.contiguous(memory_format=torch.channels_last))
            except _SeenEnough:
                pass
            except RuntimeError as error:
                size = "x".join(map(str, batch.shape[2:]))
                raise RuntimeError(
                    f"backbone {self.spec.name!r} failed on an input of {size} pixels; "
                    "try a larger size, or a smaller batch_size if memory ran out. "
                    f"torch says: {error}"
                ) from error
            finally:
                for hook in hooks:
                    hook.remove()
        if self._n_calls is None:
            self._n_calls = calls
        if "densenet" in self.spec.architecture and self.spec.last_map in seen:
            # torchvision applies the last ReLU outside of `features`.
            seen[self.spec.last_map] = seen[self.spec.last_map].relu()
        return [seen.get(name) for name in self.layers]  # type: ignore[misc]

    def vectors(self, batch: "torch.Tensor") -> "torch.Tensor":
        """Compute one feature vector for each image of a batch.

        Parameters
        ----------
        batch : tensor of shape (N, 3, H, W), float32
            Standardized images.

        Returns
        -------
        vectors : tensor of shape (N, sum of `widths`), float32
            fc7, or the averages of the tapped maps.
        """
        import torch

        maps = self.maps(batch)
        if self.head is None:
            return torch.cat([m.mean(dim=(2, 3)) for m in maps], dim=1)
        cells = torch.nn.functional.adaptive_avg_pool2d(maps[0], self.grid)
        return self.head(cells)

    def _freeze(self, module: "torch.nn.Module") -> "torch.nn.Module":
        return module.eval().requires_grad_(False).to(self.device)

    def _probe(self) -> list[int]:
        """Look at a small black image: which layers give maps, and how wide."""
        import torch

        maps = self.maps(torch.zeros(1, 3, 96, 96, device=self.device))
        for name, output in zip(self.layers, maps, strict=True):
            if not _is_map(output):
                shape = getattr(output, "shape", None)
                got = f"a {type(output).__name__}" if shape is None else tuple(shape)
                raise ValueError(
                    f"layers: {name!r} of backbone {self.spec.name!r} gives {got}; "
                    "expected a module whose output is one map (N, C, h, w)."
                )
        if self.head is not None:
            linear = [m for m in self.head if isinstance(m, torch.nn.Linear)]
            return [linear[-1].out_features]
        return [output.shape[1] for output in maps]


class _SeenEnough(Exception):
    """The last tapped layer has been seen; the rest of the network is not needed."""


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


def _check_layers(
    module: "torch.nn.Module", spec: BackboneSpec, layers: Sequence[str]
) -> None:
    names = [name for name, _ in module.named_modules()]
    unknown = [name for name in layers if name not in names]
    if unknown:
        close = difflib.get_close_matches(str(unknown[0]), names, n=5, cutoff=0.3)
        children = [name for name, _ in module.named_children()]
        raise ValueError(
            f"layers: backbone {spec.name!r} has no module {unknown[0]!r}; "
            f"similar: {close}; its parts: {children}."
        )
    if not layers or len(set(layers)) != len(layers):
        raise ValueError(f"layers: expected distinct names of modules, got {layers!r}.")


def _is_map(output: Any) -> bool:
    return getattr(output, "ndim", 0) == 4


def _pad_as_tensorflow(module: "torch.nn.Module") -> None:
    """Pad strided convolutions as TensorFlow's "SAME".

    On even sizes it pads right and bottom only, where torch pads both sides.
    Convolutions of stride 1 are the same in both.
    """
    import torch

    def pad(conv: torch.nn.Conv2d, inputs: tuple[torch.Tensor]) -> torch.Tensor:
        (x,) = inputs
        before_after: list[int] = []
        for axis in (1, 0):  # the last axis comes first in torch's `pad`
            size, stride = x.shape[2 + axis], conv.stride[axis]
            extent = (conv.kernel_size[axis] - 1) * conv.dilation[axis] + 1
            total = max((-(-size // stride) - 1) * stride + extent - size, 0)
            before_after += [total // 2, total - total // 2]
        return torch.nn.functional.pad(x, before_after)

    for conv in module.modules():
        if isinstance(conv, torch.nn.Conv2d) and max(conv.stride) > 1:
            conv.padding = (0, 0)
            conv.register_forward_pre_hook(pad)


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
