"""The recipe of napari-convpaint: a first convolution at three scales, and a forest.

https://github.com/guiwitz/napari-convpaint. Its own default network is VGG-16, whose
weights are not at hand offline; this is its recipe with SqueezeNet's first convolution.
"""

import cv2
import numpy as np

from sklearn_zoomout import Backbone
from sklearn_zoomout.backbones import load_network

BACKBONE, LAYER, SCALES = "squeezenet1_0", "features.0", (1, 2, 4)


class FirstConvolution:
    """Describe pixels by the first convolution of a network at three scales."""

    def __init__(self):
        self.network = load_network(Backbone(BACKBONE))

    def __call__(self, image):
        """Return the features of an image, float32 of shape (height * width, 288)."""
        height, width = image.shape[:2]
        maps = []
        for scale in SCALES:
            size = max(width // scale, 16), max(height // scale, 16)
            small = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
            pixels = self.network.prepare(small.astype(np.float32) / 255)
            (features,) = self.network.maps(pixels[None], [LAYER])
            planes = features[0].numpy()
            maps += [cv2.resize(plane, (width, height)).ravel() for plane in planes]
        return np.stack(maps, axis=1)
