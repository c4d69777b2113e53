"""The definition of ZoomNet, the network whose weights come with the library."""

from collections.abc import Sequence

import torch
from torch import nn
from torch.nn import functional as F

#: Channels after the first convolution.
STEM = 32
#: Output channels, expanded channels and stride of every bottleneck.
BLOCKS = (
    (16, 32, 1),  # stride 2
    (24, 64, 2),
    (24, 80, 1),  # stride 4
    (32, 96, 2),
    (32, 144, 1),
    (32, 144, 1),  # stride 8
    (64, 176, 2),
    (64, 320, 1),
    (64, 320, 1),
    (64, 320, 1),
    (96, 352, 1),
    (96, 480, 1),
    (96, 480, 1),  # stride 16
    (160, 544, 2),
    (160, 800, 1),
    (160, 800, 1),  # stride 32
)


class ZoomNet(nn.Module):
    """A small convolutional network with feature maps at strides 2 to 32.

    It is a chain of inverted bottlenecks, as in MobileNetV2 [1]_, without batch
    normalization (every convolution has a bias) and without a classifier: all its
    maps are features.

    Parameters
    ----------
    blocks : sequence of tuples of 3 int, default=BLOCKS
        Output channels, expanded channels and stride of every bottleneck.
    stem : int, default=STEM
        Channels after the first convolution.

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
        self, blocks: Sequence[tuple[int, int, int]] = BLOCKS, stem: int = STEM
    ) -> None:
        super().__init__()
        self.stem = DownConv2d(3, stem, late=True)
        self.blocks = nn.Sequential()
        width, late = stem, False
        for out_channels, expanded, stride in blocks:
            block = Bottleneck(width, expanded, out_channels, stride, late)
            self.blocks.append(block)
            width = out_channels
            if stride == 2:
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
        return self.blocks(F.relu6(self.stem(images), inplace=True))


class Bottleneck(nn.Module):
    """Inverted bottleneck: expand, filter each channel, project; linear output.

    The expansion is left out where it would not expand. The input is added to the
    output where both have the same shape.
    """

    def __init__(
        self,
        in_channels: int,
        expanded: int,
        out_channels: int,
        stride: int,
        late: bool,
    ) -> None:
        super().__init__()
        self.residual = stride == 1 and in_channels == out_channels
        if expanded > in_channels:
            self.expand: nn.Module = nn.Conv2d(in_channels, expanded, 1)
        else:
            self.expand = nn.Identity()
        if stride == 1:
            self.filter = nn.Conv2d(expanded, expanded, 3, padding=1, groups=expanded)
        else:
            self.filter = DownConv2d(expanded, expanded, late, groups=expanded)
        self.project = nn.Conv2d(expanded, out_channels, 1)

    def hidden(self, x: torch.Tensor) -> torch.Tensor:
        """Compute what is projected, (N, expanded, H / stride, W / stride)."""
        if not isinstance(self.expand, nn.Identity):
            x = F.relu6(self.expand(x), inplace=True)
        return F.relu6(self.filter(x), inplace=True)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map (N, in_channels, H, W) to (N, out_channels, H / stride, W / stride)."""
        y = self.project(self.hidden(x))
        return x + y if self.residual else y


class DownConv2d(nn.Conv2d):
    """3x3 convolution with stride 2 whose output has ``ceil(size / 2)`` cells.

    The window of cell i begins at 2 i - 1, as with torch's ``padding=1``, or, if
    `late`, at 2 i, as with TensorFlow's "SAME" on even sizes.
    """

    def __init__(
        self, in_channels: int, out_channels: int, late: bool, groups: int = 1
    ) -> None:
        padding = 0 if late else 1
        super().__init__(
            in_channels, out_channels, 3, stride=2, padding=padding, groups=groups
        )
        self.late = late

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map (N, in_channels, H, W) to (N, out_channels, H / 2, W / 2)."""
        if self.late:
            height, width = x.shape[2:]
            x = F.pad(x, (0, 1 + width % 2, 0, 1 + height % 2))
        return super().forward(x)
