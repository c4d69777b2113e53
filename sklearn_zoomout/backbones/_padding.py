"""TensorFlow's padding of strided convolutions."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch


def pad_as_tensorflow(module: "torch.nn.Module") -> None:
    """Pad strided convolutions as TensorFlow's "SAME".

    On even sizes it pads right and bottom only, where torch pads all sides.
    Convolutions of stride 1 are the same in both.

    Parameters
    ----------
    module : torch.nn.Module
        The network, which is changed.
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
