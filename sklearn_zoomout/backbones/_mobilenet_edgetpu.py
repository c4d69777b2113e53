"""The definition of MobileNet-EdgeTPU, which torchvision does not have."""

import torch
from torch import nn
from torch.nn import functional as F

#: Output channels, expanded channels, kernel size, stride, and whether the expansion
#: is fused with the filter, of every block. No expansion: a single 1x1 convolution.
_BLOCKS = (
    (16, None, 1, 1, False),
    (32, 128, 3, 2, True),
    *3 * ((32, 128, 3, 1, True),),
    (48, 256, 3, 2, True),
    *3 * ((48, 192, 3, 1, True),),
    (96, 384, 3, 2, False),
    *3 * ((96, 384, 3, 1, False),),
    (96, 768, 3, 1, False),
    *3 * ((96, 384, 3, 1, False),),
    (160, 768, 5, 2, False),
    *3 * ((160, 640, 5, 1, False),),
    (192, 1280, 3, 1, False),
)
#: Blocks without a residual though input and output have the same shape.
_NO_RESIDUAL = (13,)


class MobileNetEdgeTPU(nn.Module):
    """MobileNet-EdgeTPU 1.0 [1]_ with batch normalization folded into convolutions.

    At strides 4 and 8 the expansion and the filter of a bottleneck are one full
    convolution. It is to be run with TensorFlow's "SAME" padding.

    References
    ----------
    .. [1] S. Gupta, B. Akin, "Accelerator-aware Neural Network Design using AutoML",
       2020; weights of mlcommons/mobile_models (Apache-2.0).

    Examples
    --------
    >>> import torch
    >>> from sklearn_zoomout.backbones._mobilenet_edgetpu import MobileNetEdgeTPU
    >>> net = MobileNetEdgeTPU().eval()
    >>> with torch.inference_mode():
    ...     net(torch.zeros(1, 3, 96, 96)).shape
    torch.Size([1, 1000])
    """

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 32, 3, stride=2, padding=1)
        self.blocks = nn.Sequential()
        width = 32
        for i, (out_channels, expanded, kernel, stride, fused) in enumerate(_BLOCKS):
            residual = stride == 1 and width == out_channels and i not in _NO_RESIDUAL
            block = Bottleneck(
                width, expanded, out_channels, kernel, stride, fused, residual
            )
            self.blocks.append(block)
            width = out_channels
        self.head = nn.Conv2d(width, 1280, 1)
        self.classifier = nn.Linear(1280, 1000)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Compute scores of 1,000 classes.

        Parameters
        ----------
        images : tensor of shape (N, 3, H, W), float32
            RGB, scaled to -1..1.

        Returns
        -------
        tensor of shape (N, 1000), float32
        """
        deepest = self.blocks(F.relu(self.stem(images)))
        return self.classifier(F.relu(self.head(deepest)).mean(dim=(2, 3)))


class Bottleneck(nn.Module):
    """Expand, filter, project, with ReLU after all but the last; linear output."""

    def __init__(
        self,
        in_channels: int,
        expanded: int | None,
        out_channels: int,
        kernel: int,
        stride: int,
        fused: bool,
        residual: bool,
    ) -> None:
        super().__init__()
        self.residual = residual
        half = kernel // 2
        if expanded is None:
            convs = [nn.Conv2d(in_channels, out_channels, 1)]
        elif fused:
            convs = [
                nn.Conv2d(in_channels, expanded, kernel, stride, half),
                nn.Conv2d(expanded, out_channels, 1),
            ]
        else:
            convs = [
                nn.Conv2d(in_channels, expanded, 1),
                nn.Conv2d(expanded, expanded, kernel, stride, half, groups=expanded),
                nn.Conv2d(expanded, out_channels, 1),
            ]
        self.conv = nn.ModuleList(convs)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map (N, in_channels, H, W) to (N, out_channels, H / stride, W / stride)."""
        y = x
        for conv in self.conv[:-1]:
            y = F.relu(conv(y), inplace=True)
        y = self.conv[-1](y)
        return x + y if self.residual else y
