"""MobileNet EdgeTPU, which torchvision does not have."""

import os

import numpy as np
import pytest
import skimage.data

torch = pytest.importorskip("torch")

from sklearn_zoomout import Backbone  # noqa: E402
from sklearn_zoomout.backbones import load_network  # noqa: E402
from sklearn_zoomout.features.convnet._resizing import resize  # noqa: E402

NAME = "mobilenet_edgetpu_100"


def test_it_is_defined_by_the_library(monkeypatch):
    """Its weights are a file of the user's."""
    network = load_network(Backbone(NAME, None))
    taps = network.taps()
    assert taps.widths == (96, 192)
    maps = network.maps(torch.zeros(1, 3, 97, 130), taps.layers)
    assert [tuple(m.shape[2:]) for m in maps] == [(7, 9), (4, 5)]
    monkeypatch.delenv("SKLEARN_ZOOMOUT_WEIGHTS", raising=False)
    with pytest.raises(FileNotFoundError, match="cannot be downloaded"):
        load_network(Backbone(NAME))


@pytest.mark.skipif(
    "SKLEARN_ZOOMOUT_WEIGHTS" not in os.environ, reason="no folder of weights"
)
def test_it_takes_its_published_weights():
    """Names and shapes fit, and of 1,000 classes it predicts a cat for a cat."""
    network = load_network(Backbone(NAME))
    pixels = network.prepare(skimage.data.chelsea()[:, 75:375] / np.float32(255))
    with torch.inference_mode():
        scores = network.module(resize(pixels, (224, 224))[None])[0]
    assert int(scores.argmax()) in (281, 282, 285)  # tabby, tiger cat, Egyptian cat
