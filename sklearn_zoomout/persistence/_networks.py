"""Networks of torch that a fit has trained, as arrays and arguments."""

from collections.abc import Mapping
from itertools import pairwise
from typing import Any

import numpy as np

from ._checks import FormatError, check_keys

_OF_ZOOMOUT_NET = {
    *("n_features", "hidden_units", "n_classes", "dropout", "random_state"),
    *("standardize", "requires_grad", "weights"),
}
_OF_LOCAL_NET = {"requires_grad", "weights"}
_OF_ROW_NET = {"module", "class_weight", "moments", "settings", "history"}
_SETTINGS = {
    "learning_rate": "lr",
    "max_epochs": "max_epochs",
    "batch_size": "batch_size",
    "weight_decay": "optimizer__weight_decay",
    "verbose": "verbose",
}


def pack_zoomout_net(net: Any) -> dict[str, Any]:
    """Take a `ZoomoutNet` apart."""
    return {
        "n_features": net.layers[0].in_features,
        "hidden_units": net.hidden_units,
        "n_classes": net.n_classes,
        "dropout": net.dropout,
        "random_state": net.random_state,
        "standardize": net.standardize,
        **_pack_module(net),
    }


def build_zoomout_net(cls: Any, state: dict[str, Any]) -> Any:
    """Build a `ZoomoutNet`, if its weights have the shapes that it says."""
    check_keys(state, _OF_ZOOMOUT_NET, "a network")
    widths = [state["n_features"], *state["hidden_units"], state["n_classes"]]
    shapes: dict[str, tuple[int, ...]] = {}
    for i, (n_in, n_out) in enumerate(pairwise(widths)):
        shapes |= {f"layers.{i}.weight": (n_out, n_in), f"layers.{i}.bias": (n_out,)}
    if state["standardize"]:
        shapes |= dict.fromkeys(("factor", "shift"), (widths[0],))
    _check_shapes(state["weights"], shapes)
    moments = np.ones(widths[0]) if state["standardize"] else None
    net = cls(
        widths[0],
        state["hidden_units"],
        widths[-1],
        dropout=state["dropout"],
        mean=moments,
        scale=moments,
        random_state=state["random_state"],
    )
    return _fill(net, state)


def pack_local_net(net: Any) -> dict[str, Any]:
    """Take a `LocalNet` apart."""
    return _pack_module(net)


def build_local_net(cls: Any, state: dict[str, Any]) -> Any:
    """Build a `LocalNet`, if its weights have the shapes of one."""
    check_keys(state, _OF_LOCAL_NET, "a network")
    biases = [n for n in dict(state["weights"]) if n.startswith("dense.")]
    last = state["weights"].get(max(biases, default=""))
    if getattr(last, "ndim", 0) != 2:
        raise FormatError("expected the weights of a local convnet")
    net = cls(len(last), np.zeros(3), np.ones(3), 0)
    values = net.state_dict().items()
    _check_shapes(state["weights"], {n: tuple(v.shape) for n, v in values})
    return _fill(net, state)


def pack_row_net(net: Any) -> dict[str, Any]:
    """Take the net of a `ZoomoutClassifier` apart; its callbacks have done their work.

    The state of the optimizer has been cleared after the fit.
    """
    return {
        "module": net.module_,
        "class_weight": net.criterion_.weight.detach().cpu().numpy(),
        "moments": [net.module__mean, net.module__scale],
        "settings": {name: getattr(net, own) for name, own in _SETTINGS.items()},
        "history": [dict(epoch) for epoch in net.history],
    }


def build_row_net(cls: Any, state: dict[str, Any]) -> Any:
    """Build the net of a `ZoomoutClassifier`, as it was at the end of its fit."""
    from skorch.history import History

    from ..classifier._net import ZoomoutNet
    from ..classifier._training import make_net, tidy

    check_keys(state, _OF_ROW_NET, "a trained net")
    check_keys(state["settings"], set(_SETTINGS), "settings")
    module, weight = state["module"], state["class_weight"]
    if not isinstance(module, ZoomoutNet) or weight.shape != (module.n_classes,):
        raise FormatError("expected a network and a weight for each of its classes")
    _check_moments(state["moments"], module)
    net = make_net(
        {
            **state["settings"],
            "dropout": module.dropout,
            "callbacks": None,
            "device": "cpu",
        },
        n_features=module.layers[0].get_parameter("weight").shape[1],
        hidden_units=module.hidden_units,
        class_weight=weight,
        moments=tuple(state["moments"]),
        max_epochs=state["settings"]["max_epochs"],
        seed=module.random_state,
    )
    net.module_.load_state_dict(module.state_dict())
    net.module_.eval()
    net.history = History(state["history"])
    tidy(net)
    return net


def _pack_module(module: Any) -> dict[str, Any]:
    return {
        "requires_grad": all(p.requires_grad for p in module.parameters()),
        "weights": {
            name: value.detach().cpu().numpy()
            for name, value in module.state_dict().items()
        },
    }


def _fill(module: Any, state: dict[str, Any]) -> Any:
    import torch

    # Copies, since torch would share the memory of the arrays.
    weights = {name: torch.tensor(array) for name, array in state["weights"].items()}
    module.load_state_dict(weights)
    return module.requires_grad_(state["requires_grad"]).eval()


def _check_shapes(weights: Any, expected: Mapping[str, tuple[int, ...]]) -> None:
    """Refuse weights before any memory is taken for others."""
    check_keys(weights, set(expected), "weights")
    for name, array in weights.items():
        if not _is_float32(array, expected[name]):
            raise FormatError(
                f"expected float32 of shape {expected[name]} of {name!r}, got "
                f"{getattr(array, 'dtype', type(array).__name__)} of shape "
                f"{getattr(array, 'shape', None)}"
            )


def _is_float32(array: Any, shape: tuple[int, ...]) -> bool:
    is_array = isinstance(array, np.ndarray) and array.dtype == np.float32
    return is_array and array.shape == shape


def _check_moments(moments: Any, module: Any) -> None:
    shape: Any = module.layers[0].get_parameter("weight").shape[1:]
    expected = [shape if module.standardize else None] * 2
    if [getattr(moment, "shape", None) for moment in moments] != expected:
        raise FormatError("expected the mean and the deviation of every column")
