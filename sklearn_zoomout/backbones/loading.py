"""From the name of a backbone to a frozen network with its weights."""

import copy
import threading
from collections.abc import Callable, Sequence
from functools import lru_cache
from importlib import import_module
from typing import TYPE_CHECKING, Any

from .._utils.device import check_device
from .fine_tuned import FineTunedWeights
from .frozen import FrozenNetwork
from .names import find_backbone, import_torchvision
from .spec import TIMM, BackboneSpec
from .timm_models import build_timm
from .weights import digest_tensors, find_weights, load_state, read_weights

if TYPE_CHECKING:
    import torch

# Networks that torchvision does not have, and the modules that define them.
_DEFINED_HERE = {
    "ZoomNet": ".zoomnet",
    "MobileNetEdgeTPU": ".mobilenet_edgetpu",
    "CNNS": ".cnn_s",
}
# Building a network seeds torch's global generator and restores it afterwards: only
# one thread may do so at a time.
_BUILDING = threading.RLock()


def load_network(
    backbone: str | Callable[[], Any],
    weights: Any = "default",
    layers: str | Sequence[str] | None = None,
    device: str = "cpu",
    seed: int = 0,
    flip: bool = False,
    dtype: str = "float32",
    fine_tuned: FineTunedWeights | None = None,
) -> FrozenNetwork:
    """Build a network, load its weights, freeze it.

    Parameters
    ----------
    backbone : str or callable
        See `find_backbone`.
    weights : "default", str, path or None, default="default"
        See `find_weights`; None for random weights. The default for a callable is
        the network as the callable returns it.
    layers, device, flip, dtype
        See `FrozenNetwork`.
    seed : int, default=0
        Seed of random weights.
    fine_tuned : FineTunedWeights, default=None
        What training has made of these weights.

    Returns
    -------
    network : FrozenNetwork
        Ready to use.

    Raises
    ------
    ValueError
        If the backbone, a layer or the device is unknown, or the weights are not
        usable, or are others than those that were fine-tuned.
    """
    check_device(device)
    _refuse_module(backbone)
    spec = find_backbone(backbone)
    own = callable(backbone)
    if weights is None or (own and isinstance(weights, str) and weights == "default"):
        module = _build(backbone, spec, seed)
        source, sha256 = "random" if weights is None else "callable", None
    elif (found := find_weights(spec, weights)) is None:
        module = _build(backbone, spec, seed, pretrained=True)
        source, sha256 = "timm", None
    else:
        spec = found.spec
        state, sha256 = read_weights(found)
        module = _build(backbone, spec, seed, meta=not own)
        load_state(module, state, found, fc7=spec.has_fc7 and layers is None)
        source = str(found.path)
    if sha256 is None or spec.of_timm:
        # timm's weights are the same, whether timm loads them or a file of the user's.
        sha256 = digest_tensors(module.state_dict())
    if fine_tuned is not None:
        if sha256 != fine_tuned.origin:
            remedy = "bring the same file, or fit again"
            if own and source == "callable":
                remedy = (
                    "let the callable return the same weights whenever it is called"
                )
            raise ValueError(
                "weights: expected those that were fine-tuned (sha256 "
                f"{fine_tuned.origin}), found {source} (sha256 {sha256}); {remedy}."
            )
        fine_tuned.put_into(module)
        sha256 = fine_tuned.sha256
    network = FrozenNetwork(module, spec, layers, device, flip, dtype)
    network.source, network.sha256 = source, sha256
    return network


@lru_cache(maxsize=4)
def _load_once(arguments: tuple[Any, ...], version: Any) -> FrozenNetwork:
    return load_network(*arguments)


def load_shared_network(*arguments: Any, again: bool = False) -> FrozenNetwork:
    """Load a network once a process, for all levels, fits and tasks that need it.

    The last four are kept. A file of weights that has changed is read anew, and so is
    what a callable returns, unless it is asked for again.

    Parameters
    ----------
    *arguments
        Those of `load_network`.
    again : bool, default=False
        Whether a callable was called before, elsewhere, and may be trusted to return
        the same network.

    Returns
    -------
    network : FrozenNetwork
        Not to be changed.
    """
    backbone, weights = arguments[:2]
    if callable(backbone) and not again:
        return load_network(*arguments)
    version = None
    if not callable(backbone) and weights is not None:
        found = find_weights(find_backbone(backbone), weights)
        if found is not None:
            status = found.path.stat()
            version = (found.path, status.st_mtime_ns, status.st_size)
    # The second of two threads waits for the network, and does not load it, too.
    with _BUILDING:
        return _load_once(arguments, version)


def _build(
    backbone: str | Callable[[], Any],
    spec: BackboneSpec,
    seed: int,
    meta: bool = False,
    pretrained: bool = False,
) -> "torch.nn.Module":
    """Build the network: random, without weights (`meta`), or with those of timm."""
    import torch

    def build() -> torch.nn.Module:
        if callable(backbone):
            # The network is changed by us (frozen, moved): not the caller's own.
            return copy.deepcopy(_check_module(backbone())).float()
        if spec.architecture in _DEFINED_HERE:
            home = import_module(_DEFINED_HERE[spec.architecture], __package__)
            return getattr(home, spec.architecture)()
        if spec.of_timm:
            return build_timm(spec, pretrained)
        options: dict[str, Any] = {"weights": None}
        if spec.architecture in ("googlenet", "inception_v3"):
            options["init_weights"] = not meta  # warns when left to its default
        models = import_torchvision().models
        return models.get_model(spec.architecture, **options)

    with _BUILDING, torch.random.fork_rng(devices=[]):
        torch.random.default_generator.manual_seed(seed)
        small = spec.architecture in _DEFINED_HERE and not spec.has_fc7
        if meta and not small and not spec.architecture.startswith(("regnet", TIMM)):
            # No memory and no time for random numbers that weights will replace.
            # (RegNet computes its widths with tensors, which meta tensors cannot, and
            # timm's models constants that no file holds; and a small network is built
            # before torch has imported what "meta" needs.)
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
