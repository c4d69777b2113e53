"""The definitions of the networks whose weights come with the library."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch import nn
from torch.nn import functional as F


class Block(NamedTuple):
    """The shape of an inverted bottleneck.

    Attributes
    ----------
    out_channels, expanded : int
        Channels after the block, and inside it.
    stride : int
        1 or 2.
    kernel : int
        Side of the filter. 1 is none.
    fused : bool
        Whether expansion and filter are one convolution over all channels.
    residual : bool
        Whether the input is added to the output where both have the same shape.
    """

    out_channels: int
    expanded: int
    stride: int = 1
    kernel: int = 3
    fused: bool = False
    residual: bool = True


#: Channels after the first convolution.
STEM = 32
BLOCKS = (
    Block(16, 32),  # stride 2
    Block(24, 64, 2),
    Block(24, 80),  # stride 4
    Block(32, 96, 2),
    *2 * (Block(32, 144),),  # stride 8
    Block(64, 176, 2),
    *3 * (Block(64, 320),),
    Block(96, 352),
    *2 * (Block(96, 480),),  # stride 16
    Block(160, 544, 2),
    *2 * (Block(160, 800),),  # stride 32
)
LARGE_BLOCKS = (
    Block(16, 32, kernel=1),  # stride 2
    Block(32, 80, 2, fused=True),
    Block(32, 72, fused=True),
    *2 * (Block(32, 104, fused=True),),  # stride 4
    Block(48, 240, 2, fused=True),
    *3 * (Block(48, 152, fused=True),),  # stride 8
    Block(96, 352, 2),
    *3 * (Block(96, 368),),
    Block(96, 704, residual=False),
    *3 * (Block(96, 368),),  # stride 16
    Block(160, 704, 2, kernel=5),
    Block(160, 560, kernel=5),
    Block(160, 512, kernel=5),
    Block(160, 560, kernel=5),
    Block(192, 1120),  # stride 32
)


class ZoomNet(nn.Module):
    """A small convolutional network with feature maps at strides 2 to 32.

    It is a chain of inverted bottlenecks, as in MobileNetV2 [1]_, without batch
    normalization (every convolution has a bias) and without a classifier: all its
    maps are features.

    Parameters
    ----------
    blocks : sequence of Block, default=BLOCKS
        The bottlenecks.
    stem : int, default=STEM
        Channels after the first convolution.
    activation : callable, default=torch.nn.functional.relu6
        What follows every convolution but the last of a bottleneck.

    Notes
    -----
    A map of stride s has ``ceil(size / s)`` cells per side. A strided convolution
    cannot be centered on its cells, since 3 is odd: padding as torch does shifts
    every map to the left and up, by half a cell at stride 32, and TensorFlow's "SAME"
    as much to the right and down. Here the two alternate, and every map is centered
    to a quarter of a cell, from stride 4 on to a fifth, so that a region of the image
    is the same region of a map.

    References
    ----------
    .. [1] M. Sandler et al., "MobileNetV2: Inverted Residuals and Linear Bottlenecks",
       CVPR 2018.

    Examples
    --------
    >>> import torch
    >>> from sklearn_zoomout.backbones.zoomnet import ZoomNet
    >>> net = ZoomNet().eval()
    >>> with torch.inference_mode():
    ...     net(torch.zeros(1, 3, 96, 128)).shape
    torch.Size([1, 160, 3, 4])
    """

    def __init__(
        self,
        blocks: Sequence[Block] = BLOCKS,
        stem: int = STEM,
        activation: Callable[..., torch.Tensor] = F.relu6,
    ) -> None:
        super().__init__()
        self.activation = activation
        self.stem = DownConv2d(3, stem, 3, late=True)
        self.blocks = nn.Sequential()
        width, late = stem, False
        for block in blocks:
            self.blocks.append(Bottleneck(width, block, late, activation))
            width = block.out_channels
            if block.stride == 2:
                late = not late
        for name, module in self.named_modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(
                    module.weight,
                    nonlinearity="linear" if name.endswith("project") else "relu",
                )
                nn.init.zeros_(module.bias)  # type: ignore[arg-type]

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Compute the deepest map.

        Parameters
        ----------
        images : tensor of shape (N, 3, H, W), float32
            RGB, scaled to -1..1.

        Returns
        -------
        tensor of shape (N, C, ceil(H / 32), ceil(W / 32)), float32
            The maps before it are the outputs of the members of `blocks`.
        """
        return self.blocks(self.activation(self.stem(images), inplace=True))


class ZoomNetLarge(ZoomNet):
    """A larger `ZoomNet`, of the bottlenecks of MobileNet-EdgeTPU [1]_.

    At strides 4 and 8 the expansion and the filter of a bottleneck are one
    convolution.

    Parameters
    ----------
    blocks : sequence of Block, default=LARGE_BLOCKS
        The bottlenecks.
    stem : int, default=STEM
        Channels after the first convolution.

    References
    ----------
    .. [1] S. Gupta, B. Akin, "Accelerator-aware Neural Network Design using AutoML",
       2020.

    Examples
    --------
    >>> import torch
    >>> from sklearn_zoomout.backbones.zoomnet import ZoomNetLarge
    >>> net = ZoomNetLarge().eval()
    >>> with torch.inference_mode():
    ...     net(torch.zeros(1, 3, 96, 128)).shape
    torch.Size([1, 192, 3, 4])
    """

    def __init__(
        self, blocks: Sequence[Block] = LARGE_BLOCKS, stem: int = STEM
    ) -> None:
        super().__init__(blocks, stem, F.relu)


class Bottleneck(nn.Module):
    """Inverted bottleneck: expand, filter each channel, project; linear output.

    The expansion is left out where it would not expand. The input is added to the
    output where both have the same shape.
    """

    def __init__(
        self,
        in_channels: int,
        block: Block,
        late: bool,
        activation: Callable[..., torch.Tensor],
    ) -> None:
        super().__init__()
        out_channels, expanded, stride, kernel, fused, residual = block
        self.activation = activation
        self.residual = residual and stride == 1 and in_channels == out_channels
        self.expand: nn.Module = nn.Identity()
        self.filter: nn.Module = nn.Identity()
        groups, width = 1, in_channels
        if not fused:
            groups = width = expanded
            if expanded > in_channels:
                self.expand = nn.Conv2d(in_channels, expanded, 1)
        if stride == 2:
            self.filter = DownConv2d(width, expanded, kernel, late, groups)
        elif kernel > 1:
            self.filter = nn.Conv2d(
                width, expanded, kernel, padding=kernel // 2, groups=groups
            )
        self.project = nn.Conv2d(expanded, out_channels, 1)

    def hidden(self, x: torch.Tensor) -> torch.Tensor:
        """Compute what is projected, (N, expanded, H / stride, W / stride)."""
        for part in (self.expand, self.filter):
            if not isinstance(part, nn.Identity):
                x = self.activation(part(x), inplace=True)
        return x

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map (N, in_channels, H, W) to (N, out_channels, H / stride, W / stride)."""
        y = self.project(self.hidden(x))
        return x + y if self.residual else y


class DownConv2d(nn.Conv2d):
    """Convolution with stride 2 whose output has ``ceil(size / 2)`` cells.

    The window of k pixels of cell i begins at 2 i - k // 2, as with torch's
    ``padding=k // 2``, or, if `late`, one pixel later, as with TensorFlow's "SAME" on
    even sizes.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel: int,
        late: bool,
        groups: int = 1,
    ) -> None:
        super().__init__(
            in_channels,
            out_channels,
            kernel,
            stride=2,
            padding=0 if late else kernel // 2,
            groups=groups,
        )
        self.late = late

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map (N, in_channels, H, W) to (N, out_channels, H / 2, W / 2)."""
        if self.late:
            height, width = x.shape[2:]
            half = self.kernel_size[0] // 2
            before, after = half - 1, half
            right, bottom = after + width % 2, after + height % 2
            x = F.pad(x, (before, right, before, bottom))
        return super().forward(x)
