"""The layers whose feature maps describe an image at every resolution."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch

    from ._spec import BackboneSpec


def map_layers(module: "torch.nn.Module", spec: "BackboneSpec") -> tuple[str, ...]:
    """Choose the layers that describe an image at every resolution.

    For networks with fully connected layers (VGG, AlexNet) these are all rectified
    convolutions, as in the later form of the method [1]_: 4,224 channels of VGG-16. For
    other networks they are the last layers of every resolution.

    Parameters
    ----------
    module : torch.nn.Module
        The network, in evaluation mode.
    spec : BackboneSpec
        Its description. Layers behind its last map are ignored.

    Returns
    -------
    layers : tuple of str
        Names of modules, in the order in which they are computed.

    References
    ----------
    .. [1] Mostajabi, Yadollahpour, Shakhnarovich, "Feedforward semantic segmentation
       with zoom-out features", CVPR 2015.
    """
    import torch

    if spec.has_fc7:
        return tuple(
            name
            for name, layer in module.named_modules()
            if name.startswith("features.") and isinstance(layer, torch.nn.ReLU)
        )
    last_of_size: dict[tuple[int, int], str] = {}
    ended = False

    def look(name: str, output: Any) -> None:
        nonlocal ended
        if not ended and getattr(output, "ndim", 0) == 4 and min(output.shape[2:]) > 1:
            height, width = output.shape[2:]
            # A container comes after its members and replaces them.
            last_of_size.pop((height, width), None)
            last_of_size[height, width] = name
        ended |= name == spec.maps[-1]

    hooks = [
        layer.register_forward_hook(
            lambda _module, _inputs, output, name=name: look(name, output)
        )
        for name, layer in _blocks(module)
    ]
    try:
        like = next(module.parameters(), torch.empty(0))
        with torch.inference_mode():
            module(like.new_zeros(1, 3, 224, 224))
    finally:
        for hook in hooks:
            hook.remove()
    return tuple(last_of_size.values())


def _blocks(
    module: "torch.nn.Module", name: str = ""
) -> Iterator[tuple[str, "torch.nn.Module"]]:
    """Yield the parts of a network down to its blocks, but not the parts of blocks.

    The inner maps of a block, such as an expansion, are not features of the network.
    """
    import torch

    yield name, module
    if not name or type(module) in (torch.nn.Sequential, torch.nn.ModuleList):
        for child_name, child in module.named_children():
            yield from _blocks(child, f"{name}.{child_name}".lstrip("."))
