"""Feature maps of a loaded network, and fc7."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")
torchvision = pytest.importorskip("torchvision")

from sklearn_zoomout import Backbone  # noqa: E402
from sklearn_zoomout.backbones import load_network  # noqa: E402


def batch(*shape):
    """Draw standardized images."""
    return torch.randn(*shape, generator=torch.Generator().manual_seed(0))


def random_network(name, **options):
    """Build a network with random weights."""
    return load_network(Backbone(name, None, **options))


def maps_of(network, x, layers=None):
    """Compute the maps of some layers, or those of the network's own features."""
    return network.maps(x, network.taps(layers).layers)


@pytest.mark.parametrize(
    ("name", "channels"),
    [
        ("squeezenet1_0", 512),
        ("mobilenet_v2", 1280),
        ("mobilenet_v2_tf2", 1280),
        ("mobilenet_v3_small", 576),
        ("resnet18", 512),
        ("resnet50", 2048),
        ("convnext_tiny", 768),
        ("densenet121", 1024),
        ("shufflenet_v2_x0_5", 1024),
        ("regnet_x_400mf", 400),
        ("mnasnet0_5", 1280),
        ("efficientnet_b0", 1280),
        ("googlenet", 1024),
    ],
)
def test_last_map_of_each_family(name, channels):
    """Every family can be built without weights, and returns its last map."""
    network = random_network(name)
    taps = network.taps()
    (last_map,) = maps_of(network, batch(2, 3, 96, 128))
    assert taps.widths == (channels,)
    assert last_map.shape[:2] == (2, channels)
    assert last_map.shape[2] < last_map.shape[3]
    assert last_map.isfinite().all()
    assert network.vectors(batch(2, 3, 96, 128), taps).shape == (2, channels)


def test_last_map_is_what_the_classifier_pools():
    """The vector of a ResNet is the input of its own last layer."""
    network = random_network("resnet18", random_state=3)
    x = batch(2, 3, 64, 64)
    seen = []
    model = network.module
    hook = model.fc.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    with torch.inference_mode():
        model(x)
    hook.remove()
    torch.testing.assert_close(network.vectors(x, network.taps()), seen[0])


def test_densenet_map_is_rectified():
    """torchvision rectifies DenseNet's last map outside of its features."""
    network = random_network("densenet121")
    assert network.vectors(batch(1, 3, 64, 64), network.taps()).min() >= 0


def test_fc7_is_the_rectified_hidden_layer():
    """AlexNet's own vector is the input of its last fully connected layer."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(5)
        model = torchvision.models.alexnet(weights=None).eval()
    network = random_network("alexnet", random_state=5)
    taps = network.taps()
    x = batch(2, 3, 224, 224)
    seen = []
    last = model.classifier[-1]
    last.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    with torch.inference_mode():
        model(x)
    assert taps.widths == (4096,)
    assert taps.fc7
    assert network.grid == 6
    torch.testing.assert_close(network.vectors(x, taps), seen[0])


@pytest.mark.slow
def test_vgg16_has_fc7():
    """The paper's backbone: 4,096 rectified values from maps of 7 x 7."""
    network = random_network("vgg16")
    vectors = network.vectors(batch(1, 3, 64, 64), network.taps())
    assert vectors.shape == (1, 4096)
    assert network.grid == 7
    assert vectors.min() >= 0


def test_maps_come_in_the_given_order():
    """Several maps of different strides, as the network computes them."""
    network = random_network("squeezenet1_0")
    layers = ["features.5", "features.1"]
    x = batch(1, 3, 96, 96)
    with torch.inference_mode():
        parts = list(network.module.features)
        early = torch.nn.Sequential(*parts[:2])(x)
        late = torch.nn.Sequential(*parts[2:6])(early)
    maps = maps_of(network, x, layers)
    torch.testing.assert_close(maps[0], late)
    torch.testing.assert_close(maps[1], early)
    assert network.taps(layers).widths == (256, 96)


def test_one_network_serves_different_layers():
    """A forward pass for some layers does not disturb the next for others."""
    network = random_network("squeezenet1_0")
    x = batch(1, 3, 96, 96)
    chosen = (None, ["features.1"], "all", ["features.5", "features.1"], None)
    found = {
        str(layers): dict(
            zip(network.taps(layers).layers, maps_of(network, x, layers), strict=True)
        )
        for layers in chosen
    }
    together = found["all"]
    for maps in found.values():
        for name in maps.keys() & together.keys():
            assert torch.equal(maps[name], together[name])


def test_a_map_is_kept_before_later_modules_change_it_in_place():
    """The output of a batch normalization still has its negative values."""
    network = random_network("resnet18")
    normalized, _ = maps_of(network, batch(1, 3, 64, 64), ["layer1.0.bn2", "layer2"])
    assert normalized.min() < 0


@pytest.mark.parametrize(
    ("layers", "message"),
    [
        (["layer9"], r"no module 'layer9'; similar: \['layer4'"),
        (["layer4", "layer4"], "distinct names"),
        ([], "distinct names"),
        (["fc"], r"got \(1, 1000\) from 'fc' of backbone 'resnet18'"),
    ],
)
def test_wrong_layers(layers, message):
    """Unknown layers, and layers whose output is no map, are refused."""
    with pytest.raises(ValueError, match=message):
        random_network("resnet18").taps(layers)


def test_too_small_input_is_explained():
    """An input that shrinks to nothing names the backbone and the size."""
    network = random_network("squeezenet1_0")
    taps = network.taps()
    with pytest.raises(RuntimeError, match="'squeezenet1_0' failed on .* 4x5 pixels"):
        network.maps(batch(1, 3, 4, 5), taps.layers)


def test_images_are_standardized():
    """RGB in 0..1 becomes x / 127.5 - 1 of 0..255, or ImageNet's standardization."""
    rgb = np.array([[[0, 0.5, 1]]], dtype=np.float32)
    centered = random_network("mobilenet_v2_tf2").prepare(rgb)
    usual = random_network("mobilenet_v2").prepare(rgb)
    assert centered.flatten().tolist() == [-1, 0, 1]
    expected = [-0.485 / 0.229, 0.044 / 0.224, 0.594 / 0.225]
    assert usual.flatten().tolist() == pytest.approx(expected, abs=1e-6)


def test_flip_averages_the_maps_of_mirror_images():
    """Both are computed in one pass."""
    plain, flipped = Backbone(), Backbone(flip=True)
    x = batch(1, 3, 64, 96)
    maps, mirrored = (maps_of(load_network(plain), y) for y in (x, x.flip(3)))
    expected = [(m + n.flip(3)) / 2 for m, n in zip(maps, mirrored, strict=True)]
    for found, average in zip(maps_of(load_network(flipped), x), expected, strict=True):
        torch.testing.assert_close(found, average, rtol=1e-4, atol=1e-5)


def test_equal_keys_mean_equal_maps():
    """The key tells all that maps depend on, and nothing else."""
    plain = Backbone("resnet18", None)
    key = load_network(plain).key
    assert load_network(plain.replace(fine_tune=True)).key == key
    changes = ({"flip": True}, {"dtype": "bfloat16"}, {"random_state": 1})
    others = [load_network(plain.replace(**change)).key for change in changes]
    assert len({key, *others}) == 4
