"""Small synthetic images and small networks that many tests share."""

import os
import sys
from functools import partial

# One thread is faster on images this small, and the number of threads changes the last
# digits. The libraries read the variable when they are imported.
os.environ["OMP_NUM_THREADS"] = "1"

import numpy as np
import pytest

from sklearn_zoomout import SuperpixelSegmenter

SIZES = [(60, 80), (64, 72), (50, 90), (60, 80)]
COLORS = np.array([[70, 120, 200], [60, 140, 50], [150, 100, 60]])


def make_example(height, width, seed):
    """Make an image of sky, grass and a wall with noise, and its mask of 3 classes."""
    rng = np.random.default_rng(seed)
    mask = np.zeros((height, width), dtype=np.int64)
    mask[int(height * rng.uniform(0.4, 0.6)) :] = 1
    left = rng.integers(5, width // 2)
    mask[height // 4 : height // 2 + 5, left : left + width // 3] = 2
    image = COLORS[mask] + rng.normal(0, 4, (height, width, 3))
    return np.clip(image, 0, 255).astype(np.uint8), mask


@pytest.fixture(autouse=True)
def forget_networks():
    """Empty the cache of loaded networks after each test."""
    yield
    loading = sys.modules.get("sklearn_zoomout.backbones._loading")
    if loading is not None:
        loading._load_once.cache_clear()


@pytest.fixture(scope="session")
def examples():
    """Pairs of an image and its mask."""
    return [make_example(*size, seed) for seed, size in enumerate(SIZES)]


@pytest.fixture(scope="session")
def images(examples):
    """Four uint8 images of different sizes."""
    return [image for image, _ in examples]


@pytest.fixture(scope="session")
def masks(examples):
    """Their masks, of the classes 0, 1 and 2."""
    return [mask for _, mask in examples]


@pytest.fixture
def narrow_fc7(monkeypatch):
    """Give AlexNet and VGG fully connected layers of 8 and 5 units, and CNN-S of 5.

    The usual ones have 59 to 124 million weights, which take seconds to draw.
    """
    torch = pytest.importorskip("torch")
    models = pytest.importorskip("torchvision").models
    original = models.get_model

    def get_model(name, **options):
        if not name.startswith(("alexnet", "vgg")):
            return original(name, **options)
        outer = torch.get_default_device()
        with torch.device("meta"):
            model = original(name, **options)
        with outer:
            model.features.to_empty(device=outer)
            for layer in model.features:
                if hasattr(layer, "reset_parameters"):
                    layer.reset_parameters()
            head = model.classifier
            fc6, fc7, fc8 = (
                i for i, layer in enumerate(head) if isinstance(layer, torch.nn.Linear)
            )
            head[fc6] = torch.nn.Linear(head[fc6].in_features, 8)
            head[fc7] = torch.nn.Linear(8, 5)
            head[fc8] = torch.nn.Linear(5, 1000)
        return model

    monkeypatch.setattr(models, "get_model", get_model)
    cnn_s = pytest.importorskip("sklearn_zoomout.backbones._cnn_s")
    monkeypatch.setattr(cnn_s, "CNNS", partial(cnn_s.CNNS, units=5))


@pytest.fixture
def superpixels(images):
    """Their superpixels, new in every test because they keep what is fitted on them."""
    return SuperpixelSegmenter(n_segments=40).fit_transform(images)


@pytest.fixture
def passes(monkeypatch):
    """The shapes of the batches of all forward passes, as they are computed."""
    from sklearn_zoomout.backbones import Network

    shapes = []
    maps = Network.maps

    def record(network, batch, layers):
        shapes.append(tuple(batch.shape))
        return maps(network, batch, layers)

    monkeypatch.setattr(Network, "maps", record)
    return shapes


@pytest.fixture
def trainings(monkeypatch):
    """The networks that are fine-tuned, in the order of their trainings."""
    from sklearn_zoomout.features.convnet import _fine_tuning

    networks = []
    train = _fine_tuning._train

    def record(network, *args):
        networks.append(network)
        train(network, *args)

    monkeypatch.setattr(_fine_tuning, "_train", record)
    return networks
