"""Networks: their names, their weights, and how they are trained.

A `Backbone` describes a network: "zoomnet", whose weights come with the library, a
convolutional classifier of torchvision or, as "timm:NAME", of timm, "cnn_s", or a
callable that returns a ``torch.nn.Module``. The network is built when it is first used.
"""

from ._backbone import Backbone
from ._loading import load_network
from ._names import known_backbones
from ._network import Network
from ._training import FineTuning, Training

__all__ = [
    "Backbone",
    "FineTuning",
    "Network",
    "Training",
    "known_backbones",
    "load_network",
]
