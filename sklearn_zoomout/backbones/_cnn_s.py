"""The definition of CNN-S, which torchvision does not have."""

from collections import OrderedDict
from collections.abc import Sequence

import torch
from torch import nn


class _LocalResponseNorm(nn.LocalResponseNorm):
    """Computed in float32: torch has none in shorter numbers on the CPU."""

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        return super().forward(input.float()).to(input.dtype)


class CNNS(nn.Module):
    """CNN-S (VGG_CNN_S) [1]_: five convolutions and three fully connected layers.

    Attributes are named as in torchvision's VGG (`features`, `avgpool`,
    `classifier`), and layers in them as in the authors' file of weights.

    Parameters
    ----------
    channels : sequence of 5 int, default=(96, 256, 512, 512, 512)
        Output channels of the convolutions.
    units : int, default=4096
        Units of the two hidden layers.

    References
    ----------
    .. [1] Chatfield, Simonyan, Vedaldi, Zisserman, "Return of the Devil in the
       Details: Delving Deep into Convolutional Nets", BMVC 2014.

    Examples
    --------
    >>> import torch
    >>> from sklearn_zoomout.backbones._cnn_s import CNNS
    >>> net = CNNS(units=64).eval()
    >>> with torch.inference_mode():
    ...     net.features(torch.zeros(1, 3, 224, 224)).shape
    torch.Size([1, 512, 6, 6])
    """

    def __init__(
        self, channels: Sequence[int] = (96, 256, 512, 512, 512), units: int = 4096
    ) -> None:
        super().__init__()
        c1, c2, c3, c4, c5 = channels
        # As in VGG_CNN_S_deploy.prototxt of gist.github.com/ksimonyan/
        # fd8800eeb36e276cd6f9. Caffe's pooling rounds sizes up, and its alpha is
        # divided by the size of the window, as torch's is.
        self.features = nn.Sequential(
            OrderedDict(
                conv1=nn.Conv2d(3, c1, 7, stride=2),
                relu1=nn.ReLU(inplace=True),
                norm1=_LocalResponseNorm(5, alpha=5e-4, beta=0.75, k=2),
                pool1=nn.MaxPool2d(3, stride=3, ceil_mode=True),
                conv2=nn.Conv2d(c1, c2, 5),
                relu2=nn.ReLU(inplace=True),
                pool2=nn.MaxPool2d(2, stride=2, ceil_mode=True),
                conv3=nn.Conv2d(c2, c3, 3, padding=1),
                relu3=nn.ReLU(inplace=True),
                conv4=nn.Conv2d(c3, c4, 3, padding=1),
                relu4=nn.ReLU(inplace=True),
                conv5=nn.Conv2d(c4, c5, 3, padding=1),
                relu5=nn.ReLU(inplace=True),
                pool5=nn.MaxPool2d(3, stride=3, ceil_mode=True),
            )
        )
        # The maps of 224 x 224 pixels have this size already.
        self.avgpool = nn.AdaptiveAvgPool2d((6, 6))
        self.classifier = nn.Sequential(
            OrderedDict(
                fc6=nn.Linear(c5 * 6 * 6, units),
                relu6=nn.ReLU(inplace=True),
                drop6=nn.Dropout(),
                fc7=nn.Linear(units, units),
                relu7=nn.ReLU(inplace=True),
                drop7=nn.Dropout(),
                fc8=nn.Linear(units, 1000),
            )
        )

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Compute scores of 1,000 classes.

        Parameters
        ----------
        images : tensor of shape (N, 3, H, W), float32
            BGR in 0..255, less its mean over ImageNet.

        Returns
        -------
        tensor of shape (N, 1000), float32
        """
        maps = self.avgpool(self.features(images))
        return self.classifier(maps.flatten(1))
