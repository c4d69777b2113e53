"""Networks: their names, their weights, and how they are trained.

A `Backbone` describes a network: "zoomnet" or "zoomnet_large", whose weights come with
the library, a convolutional classifier of torchvision or, as "timm:NAME", of timm,
"cnn_s", or a callable that returns a ``torch.nn.Module``. The network is built when it
is first used.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
