"""Networks: their names, their weights, and where they are tapped.

A backbone is a name ("zoomnet", whose weights come with the library, any
convolutional classifier of torchvision or, as "timm:NAME", of timm, or "cnn_s"), or a
callable that returns a ``torch.nn.Module``. It is never a module itself, because
``clone`` would copy all of its weights. Networks are built when they are first used.
"""

from .fine_tuned import FineTunedWeights
from .frozen import FrozenNetwork
from .loading import load_network, load_shared_network
from .names import find_backbone, known_backbones
from .spec import BackboneSpec

__all__ = [
    "BackboneSpec",
    "FineTunedWeights",
    "FrozenNetwork",
    "find_backbone",
    "known_backbones",
    "load_network",
    "load_shared_network",
]
