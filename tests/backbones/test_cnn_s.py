"""CNN-S, the paper's first network, and Caffe's preprocessing."""

import functools

import numpy as np
import pytest

torch = pytest.importorskip("torch")
torchvision = pytest.importorskip("torchvision")

from sklearn_zoomout import (  # noqa: E402
    Backbone,
    ConvnetRegionFeatures,
    GlobalFeatures,
)
from sklearn_zoomout.backbones import (  # noqa: E402
    Network,
    _cnn_s,
    known_backbones,
    load_network,
)
from sklearn_zoomout.backbones._cnn_s import CNNS  # noqa: E402
from sklearn_zoomout.backbones._names import find_backbone  # noqa: E402

RANDOM = Backbone("cnn_s", None)


@pytest.fixture
def narrow(monkeypatch):
    """Make "cnn_s" a network of few channels, whose fc7 has 10 units."""
    small = functools.partial(CNNS, channels=(6, 5, 4, 4, 7), units=10)
    monkeypatch.setattr(_cnn_s, "CNNS", small)


def batch(*shape, seed=0):
    return 100 * torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def network_of(module, name):
    """Make a network of a module, with the preprocessing of a name."""
    return Network(module, find_backbone(name), Backbone(name), "random", "")


def test_layers_have_the_published_sizes():
    """The maps of 224 x 224 pixels, with sizes rounded up as Caffe does."""
    with torch.device("meta"):
        network = CNNS()
        x = torch.zeros(1, 3, 224, 224)
    sizes = {}
    for name, layer in network.features.named_children():
        x = layer(x)
        sizes[name] = tuple(x.shape[1:])
    assert sizes["conv1"] == sizes["relu1"] == sizes["norm1"] == (96, 109, 109)
    assert sizes["pool1"] == (96, 37, 37)
    assert sizes["conv2"] == (256, 33, 33)
    assert sizes["pool2"] == (256, 17, 17)
    assert sizes["conv3"] == sizes["conv4"] == sizes["relu5"] == (512, 17, 17)
    assert sizes["pool5"] == (512, 6, 6)
    weights = {
        name: tuple(layer.weight.shape)
        for name, layer in network.classifier.named_children()
        if name.startswith("fc")
    }
    assert weights == {"fc6": (4096, 18432), "fc7": (4096, 4096), "fc8": (1000, 4096)}


def test_normalization_is_that_of_the_paper():
    """Each value is divided by a power of its channel's neighborhood."""
    x = np.random.default_rng(0).uniform(0, 300, (9, 4, 3))
    expected = np.empty_like(x)
    for i in range(len(x)):
        neighbors = x[max(i - 2, 0) : i + 3]
        scale = 2 + 0.0005 / 5 * (neighbors**2).sum(axis=0)
        expected[i] = x[i] / scale**0.75
    found = CNNS(units=1).features.norm1(torch.from_numpy(x)[None])[0]
    np.testing.assert_allclose(found.numpy(), expected, rtol=1e-6)


def test_pooling_takes_what_is_left_at_the_border():
    """A maximum in the last row and column is not lost."""
    pool1 = CNNS(units=1).features.pool1
    x = torch.zeros(1, 1, 7, 7)
    x[..., 6, 6] = 1
    assert pool1(x)[0, 0].tolist() == [[0, 0, 0], [0, 0, 0], [0, 0, 1]]


def test_first_map_has_a_rectified_normalized_convolution(narrow):
    """ReLU comes before the normalization, and both before the pooling."""
    network = load_network(RANDOM)
    x = batch(1, 3, 40, 40)
    conv = network.module.features.conv1
    with torch.inference_mode():
        y = torch.nn.functional.conv2d(x, conv.weight, conv.bias, stride=2).relu()
        y = torch.nn.functional.local_response_norm(y, 5, alpha=5e-4, beta=0.75, k=2)
    normalized, pooled = network.maps(x, ["features.norm1", "features.pool1"])
    torch.testing.assert_close(normalized, y)
    torch.testing.assert_close(
        pooled, torch.nn.functional.max_pool2d(y, 3, 3, ceil_mode=True)
    )


def test_fc7_is_what_the_last_layer_sees(narrow):
    """On 224 x 224 pixels the vector is the network's own, after its ReLU."""
    network = load_network(RANDOM.replace(random_state=5))
    taps = network.taps()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(5)
        model = _cnn_s.CNNS().eval()
    seen = []
    model.classifier.fc8.register_forward_pre_hook(
        lambda _module, inputs: seen.append(inputs[0])
    )
    x = batch(2, 3, 224, 224)
    with torch.inference_mode():
        model(x)
    assert network.grid == 6
    assert taps.widths == (10,)
    assert seen[0].max() > 0
    assert seen[0].min() == 0
    torch.testing.assert_close(network.vectors(x, taps), seen[0])


def test_all_layers_are_the_rectified_convolutions():
    """Maps of every resolution: 96 + 256 + 3 x 512 channels."""
    taps = network_of(CNNS(units=1), "cnn_s").taps("all")
    assert taps.layers == tuple(f"features.relu{i}" for i in range(1, 6))
    assert taps.widths == (96, 256, 512, 512, 512)


@pytest.mark.parametrize(
    ("name", "mean"),
    [
        ("cnn_s", (102.717, 115.773, 123.51)),
        ("vgg16_caffe", (103.939, 116.779, 123.68)),
    ],
)
def test_preprocessing_is_that_of_caffe(name, mean):
    """A red image: blue and green are 0, red 255, each less its mean, in this order."""
    rgb = np.zeros((4, 5, 3), dtype=np.float32)
    rgb[..., 0] = 1
    prepared = network_of(CNNS(units=1), name).prepare(rgb)
    assert prepared.shape == (3, 4, 5)
    expected = [-mean[0], -mean[1], 255 - mean[2]]
    np.testing.assert_allclose(prepared[:, 2, 3], expected, rtol=1e-6)


def test_other_networks_keep_the_order_of_channels():
    """ImageNet's standardization gives RGB."""
    rgb = np.zeros((4, 5, 3), dtype=np.float32)
    rgb[..., 0] = 1
    model = torchvision.models.squeezenet1_1(weights=None)
    network = network_of(model, "squeezenet1_1")
    red, green, blue = network.prepare(rgb)[:, 0, 0].tolist()
    assert red == pytest.approx((1 - 0.485) / 0.229)
    assert green == pytest.approx(-0.456 / 0.224)
    assert blue == pytest.approx(-0.406 / 0.225)


def test_estimators_know_it(narrow, superpixels):
    """By name it gives fc7 of the regions and of the image, by both poolings."""
    assert {"cnn_s", "vgg16_caffe"} <= set(known_backbones())
    for level in (
        ConvnetRegionFeatures(RANDOM, input_size=96),
        ConvnetRegionFeatures(RANDOM, pooling="crop", crop_size=96),
        GlobalFeatures(RANDOM, crop_size=96),
    ):
        table = level.fit_transform(superpixels[:1])
        assert table.shape[1] == 10
        names = level.get_feature_names_out()
        assert names[3] == "fc7_0003"


@pytest.mark.slow
def test_fc7_has_4096_columns(superpixels):
    """The paper's width of the distant level."""
    level = ConvnetRegionFeatures(RANDOM, input_size=96)
    table = level.fit_transform(superpixels[:1])
    assert table.shape[1] == 4096
    assert level.get_feature_names_out()[-1] == "fc7_4095"
