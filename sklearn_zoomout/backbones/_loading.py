"""From a `Backbone` to a network with its weights."""

import copy
import threading
from dataclasses import replace
from functools import lru_cache
from importlib import import_module
from typing import TYPE_CHECKING, Any

from .._utils.device import check_device
from .._utils.threads import limit_after_fork
from ._backbone import Backbone
from ._fine_tuned import FineTunedWeights
from ._names import find_backbone, import_torchvision
from ._network import Network
from ._spec import TIMM, BackboneSpec
from ._timm import build_timm
from ._weights import digest_tensors, find_weights, load_state, read_weights

if TYPE_CHECKING:
    import torch

# Networks that torchvision does not have, and the modules that define them.
_DEFINED_HERE = {
    "ZoomNet": ".zoomnet",
    "ZoomNetLarge": ".zoomnet",
    "MobileNetEdgeTPU": "._mobilenet_edgetpu",
    "CNNS": "._cnn_s",
}
# Building a network seeds torch's global generator and restores it afterwards: only
# one thread may do so at a time.
_BUILDING = threading.RLock()


def load_network(
    backbone: Backbone, fine_tuned: FineTunedWeights | None = None
) -> Network:
    """Build a network and load its weights.

    Parameters
    ----------
    backbone : Backbone
        The network. Its ``fine_tune`` is ignored.
    fine_tuned : FineTunedWeights, default=None
        Weights that fine-tuning has changed.

    Returns
    -------
    network : Network
        It may be changed.

    Raises
    ------
    ValueError
        If the backbone or the device is unknown, or the weights cannot be used, have
        another digest than stated, or are not those that were fine-tuned.
    """
    limit_after_fork()
    check_device(backbone.device)
    _refuse_module(backbone.name)
    spec = find_backbone(backbone.name)
    weights, own = backbone.weights, backbone.is_callable
    if weights is None or (own and weights == "default"):
        module = _build(backbone, spec)
        source, sha256 = "random" if weights is None else "callable", None
    elif (found := find_weights(spec, weights)) is None:
        module = _build(backbone, spec, pretrained=True)
        source, sha256 = "timm", None
    else:
        spec = found.spec
        if backbone.weights_sha256 is not None and not spec.of_timm:
            found = replace(found, sha256=backbone.weights_sha256)
        state, sha256 = read_weights(found)
        module = _build(backbone, spec, meta=not own)
        load_state(module, state, found)
        source = str(found.path)
    if sha256 is None or spec.of_timm:
        # timm's weights are the same, whether timm loads them or a file of the user's.
        sha256 = digest_tensors(module.state_dict())
    if backbone.weights_sha256 not in (None, sha256):
        raise ValueError(
            f"weights: expected those of weights_sha256, {backbone.weights_sha256}, "
            f"found {source} (sha256 of its tensors {sha256}); bring the same weights, "
            "or state their digest."
        )
    if fine_tuned is not None:
        if sha256 != fine_tuned.origin:
            cure = "bring the same file, or fit again"
            if source == "callable":
                cure = "let the callable return the same weights whenever it is called"
            raise ValueError(
                "weights: expected those that were fine-tuned (sha256 "
                f"{fine_tuned.origin}), found {source} (sha256 {sha256}); {cure}."
            )
        fine_tuned.put_into(module)
        sha256 = fine_tuned.sha256
    return Network(module, spec, backbone, source, sha256)


@lru_cache(maxsize=4)
def _load_once(
    backbone: Backbone, fine_tuned: FineTunedWeights | None, version: Any
) -> Network:
    return load_network(backbone, fine_tuned)


def load_shared_network(
    backbone: Backbone,
    fine_tuned: FineTunedWeights | None = None,
    *,
    again: bool = False,
) -> Network:
    """Load a network once per process, for all levels and fits that need it.

    The last four networks are kept. If a file of weights has changed, it is read again.

    Parameters
    ----------
    backbone, fine_tuned
        See `load_network`.
    again : bool, default=False
        Whether a callable was called before and returns the same network now. Otherwise
        it is called, since what it returns may have changed.

    Returns
    -------
    network : Network
        It must not be changed.
    """
    random = backbone.weights is None or backbone.is_callable
    seed = backbone.random_state if random else 0
    backbone = replace(backbone, fine_tune=None, random_state=seed)
    if backbone.is_callable and not again:
        return load_network(backbone, fine_tuned)
    version = None
    if not backbone.is_callable and backbone.weights is not None:
        found = find_weights(find_backbone(backbone.name), backbone.weights)
        if found is not None:
            status = found.path.stat()
            version = (found.path, status.st_mtime_ns, status.st_size)
    # A second thread waits for the network and does not load it again.
    with _BUILDING:
        return _load_once(backbone, fine_tuned, version)


def _build(
    backbone: Backbone, spec: BackboneSpec, meta: bool = False, pretrained: bool = False
) -> "torch.nn.Module":
    """Build the network: random, without weights (`meta`), or with those of timm."""
    import torch

    def build() -> torch.nn.Module:
        if callable(backbone.name):
            # A copy, since the network is frozen and moved.
            return copy.deepcopy(_check_module(backbone.name())).float()
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
        torch.random.default_generator.manual_seed(backbone.random_state)
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
