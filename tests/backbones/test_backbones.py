"""Names of backbones and the networks behind them."""

import os
import sys

import numpy as np
import pytest
import skimage.data

torch = pytest.importorskip("torch")
torchvision = pytest.importorskip("torchvision")

from sklearn_zoomout._utils.device import check_device  # noqa: E402
from sklearn_zoomout.backbones import (  # noqa: E402
    find_backbone,
    known_backbones,
    load_network,
    load_shared_network,
)
from sklearn_zoomout.features._resizing import resize  # noqa: E402

needs_weights = pytest.mark.skipif(
    "SKLEARN_ZOOMOUT_WEIGHTS" not in os.environ, reason="no folder of weights"
)


def batch(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def tiny():
    """A network of a user's own."""
    return torch.nn.Sequential(torch.nn.Conv2d(3, 6, 3, stride=2), torch.nn.ReLU())


def test_known_backbones_are_convolutional():
    """The list has torchvision's families and our variants, and no transformer."""
    known = known_backbones()
    assert {"vgg16", "resnet50", "convnext_tiny", "mobilenet_v2_tf2"} <= set(known)
    assert not any(name.startswith("vit") for name in known)


def test_unknown_name_lists_what_is_known():
    """A misspelt name gets close matches and the whole list."""
    with pytest.raises(
        ValueError, match=r"'resnet5O'.*Did you mean.*'resnet50'.*vgg16"
    ):
        find_backbone("resnet5O")


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
    """Without weights every family builds, and gives its last map."""
    network = load_network(name, weights=None)
    (last_map,) = network.maps(batch(2, 3, 96, 128))
    assert network.widths == [channels]
    assert last_map.shape[:2] == (2, channels)
    assert last_map.shape[2] < last_map.shape[3]
    assert last_map.isfinite().all()
    assert network.vectors(batch(2, 3, 96, 128)).shape == (2, channels)


def test_last_map_is_what_the_classifier_pools():
    """The vector of a ResNet is the input of its own last layer."""
    network = load_network("resnet18", weights=None, seed=3)
    x = batch(2, 3, 64, 64)
    seen = []
    model = network.module
    hook = model.fc.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    with torch.inference_mode():
        model(x)
    hook.remove()
    torch.testing.assert_close(network.vectors(x), seen[0])


def test_densenet_map_is_rectified():
    """torchvision rectifies DenseNet's last map outside of its features."""
    network = load_network("densenet121", weights=None)
    assert network.vectors(batch(1, 3, 64, 64)).min() >= 0


def test_fc7_is_the_rectified_hidden_layer():
    """AlexNet's own vector is what its last fully connected layer sees."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(5)
        model = torchvision.models.alexnet(weights=None).eval()
    network = load_network("alexnet", weights=None, seed=5)
    x = batch(2, 3, 224, 224)
    seen = []
    last = model.classifier[-1]
    last.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    with torch.inference_mode():
        model(x)
    assert network.widths == [4096]
    assert network.grid == 6
    torch.testing.assert_close(network.vectors(x), seen[0])


@pytest.mark.slow
def test_vgg16_gives_fc7():
    """The paper's backbone: 4,096 rectified values from maps of 7 x 7."""
    network = load_network("vgg16", weights=None)
    vectors = network.vectors(batch(1, 3, 64, 64))
    assert vectors.shape == (1, 4096)
    assert network.grid == 7
    assert vectors.min() >= 0


def test_layers_give_their_maps_in_the_given_order():
    """Several maps of different strides, as the network computes them."""
    network = load_network("squeezenet1_0", None, ["features.5", "features.1"])
    x = batch(1, 3, 96, 96)
    with torch.inference_mode():
        parts = list(network.module.features)
        early = torch.nn.Sequential(*parts[:2])(x)
        late = torch.nn.Sequential(*parts[2:6])(early)
    torch.testing.assert_close(network.maps(x)[0], late)
    torch.testing.assert_close(network.maps(x)[1], early)
    assert network.widths == [256, 96]


def test_map_is_kept_before_later_modules_change_it_in_place():
    """A tapped normalization still has its negative values."""
    network = load_network("resnet18", None, ["layer1.0.bn2", "layer2"])
    normalized, _ = network.maps(batch(1, 3, 64, 64))
    assert normalized.min() < 0


@pytest.mark.parametrize(
    ("layers", "message"),
    [
        (["layer9"], r"no module 'layer9'; similar: \['layer4'"),
        (["layer4", "layer4"], "distinct names"),
        ([], "distinct names"),
        (["fc"], r"'fc' of backbone 'resnet18' gives \(1, 1000\)"),
    ],
)
def test_wrong_layers(layers, message):
    """Unknown layers, and layers that give no map, are refused when loading."""
    with pytest.raises(ValueError, match=message):
        load_network("resnet18", None, layers)


def test_random_weights_follow_the_seed_only():
    """Random networks repeat, and torch's own generator is left alone."""
    before = torch.random.get_rng_state()
    first = load_network("squeezenet1_0", None, seed=1)
    again = load_network("squeezenet1_0", None, seed=1)
    other = load_network("squeezenet1_0", None, seed=2)
    assert torch.equal(before, torch.random.get_rng_state())
    assert first.sha256 == again.sha256 != other.sha256
    assert first.source == "random"


def test_callable_gives_the_network():
    """A function may build the network; its output is the map."""
    network = load_network(tiny, seed=4)
    assert network.source == "callable"
    assert network.widths == [6]
    assert network.maps(batch(1, 3, 9, 11))[0].shape == (1, 6, 4, 5)
    assert network.sha256 == load_network(tiny, seed=4).sha256


def test_network_of_the_caller_is_left_as_it_was():
    """Freezing happens on a copy."""
    mine = tiny()
    load_network(lambda: mine)
    assert mine.training
    assert all(p.requires_grad for p in mine.parameters())


def test_timm_is_needed_for_its_names_only(monkeypatch):
    """Without timm its names say what to install, and others work."""
    monkeypatch.setitem(sys.modules, "timm", None)
    with pytest.raises(ImportError, match="need timm: pip install timm"):
        load_network("timm:resnet18", None)
    assert load_network("zoomnet").source.endswith("zoomnet.safetensors")


def test_module_instead_of_a_name_is_refused():
    """A module as parameter would be copied by every clone."""
    with pytest.raises(TypeError, match="got the network itself"):
        load_network(tiny())
    with pytest.raises(TypeError, match="must return a torch.nn.Module, got int"):
        load_network(lambda: 3)


def test_too_small_input_is_explained():
    """An input that shrinks to nothing names the backbone and the size."""
    network = load_network("squeezenet1_0", None)
    with pytest.raises(RuntimeError, match="'squeezenet1_0' failed on .* 4x5 pixels"):
        network.maps(batch(1, 3, 4, 5))


@pytest.mark.parametrize("device", ["cuda:99", "nonsense", "meta"])
def test_device_that_is_not_there(device):
    """No silent use of the CPU."""
    with pytest.raises(ValueError, match=f"device='{device}' cannot be used here"):
        check_device(device)


def test_images_are_standardized():
    """RGB in 0..1 becomes x / 127.5 - 1 of 0..255, or ImageNet's standardization."""
    import numpy as np

    rgb = np.array([[[0, 0.5, 1]]], dtype=np.float32)
    centered = load_network("mobilenet_v2_tf2", None).prepare(rgb)
    usual = load_network("mobilenet_v2", None).prepare(rgb)
    assert centered.flatten().tolist() == [-1, 0, 1]
    expected = [-0.485 / 0.229, 0.044 / 0.224, 0.594 / 0.225]
    assert usual.flatten().tolist() == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("size", [(64, 64), (65, 63), (64, 97)])
def test_same_padding_pads_right_and_bottom_only(size):
    """On even sizes TensorFlow pads nothing left and top, on odd ones both sides."""
    network = load_network("mobilenet_v2_tf2", None, ["features.0.0"])
    x = batch(1, 3, *size)
    height, width = size
    before_after = (width % 2, 1, height % 2, 1)
    with torch.inference_mode():
        padded = torch.nn.functional.pad(x, before_after)
        weight = network.module.features[0][0].weight
        expected = torch.nn.functional.conv2d(padded, weight, stride=2)
    torch.testing.assert_close(network.maps(x)[0], expected)
    plain = load_network("mobilenet_v2", None, ["features.0.0"])
    same_as_torch = torch.allclose(plain.maps(x)[0], expected, atol=1e-5)
    assert same_as_torch == (height % 2 == 1 and width % 2 == 1)


def classify(network, image):
    """Give the best class, as ImageNet classifiers are evaluated: 256, central 224."""
    functional = torchvision.transforms.functional
    pixels = functional.resize(network.prepare(image), 256, antialias=True)
    pixels = functional.center_crop(pixels, 224)
    with torch.inference_mode():
        return network.module(pixels[None]).argmax().item()


CATS, COFFEE = range(281, 286), (504, 967, 968)  # mug, espresso, cup


@needs_weights
@pytest.mark.parametrize("name", ["squeezenet1_0", "mobilenet_v2_tf2"])
@pytest.mark.parametrize(("photo", "classes"), [("cat", CATS), ("coffee", COFFEE)])
def test_pretrained_networks_recognize_photos(name, photo, classes):
    """With their own preprocessing and padding they tell a cat from a coffee."""
    data = pytest.importorskip("skimage.data")
    image = (getattr(data, photo)() / 255).astype("float32")
    assert classify(load_network(name), image) in classes


@needs_weights
def test_pretrained_same_padding_matches_explicit_padding():
    """On even sizes all strided convolutions of MobileNet V2 pad right and bottom."""
    network = load_network("mobilenet_v2_tf2")
    reference = torchvision.models.mobilenet_v2(weights=None).eval()
    reference.load_state_dict(network.module.state_dict())
    strided = 0
    for parent in list(reference.modules()):
        for name, conv in list(parent.named_children()):
            if isinstance(conv, torch.nn.Conv2d) and conv.stride == (2, 2):
                conv.padding = (0, 0)
                padded = torch.nn.Sequential(torch.nn.ZeroPad2d((0, 1, 0, 1)), conv)
                setattr(parent, name, padded)
                strided += 1
    x = batch(1, 3, 224, 224)
    with torch.inference_mode():
        expected = reference.features(x)
    assert strided == 5
    torch.testing.assert_close(network.maps(x)[0], expected, rtol=1e-4, atol=1e-4)


@needs_weights
def test_weights_of_a_variant_bring_its_preprocessing():
    """MobileNet V2 takes the file of the TensorFlow variant, padding included."""
    plain, variant = load_network("mobilenet_v2"), load_network("mobilenet_v2_tf2")
    assert plain.sha256 == variant.sha256
    assert plain.spec.same_padding
    x = batch(1, 3, 64, 64)
    assert torch.equal(plain.maps(x)[0], variant.maps(x)[0])


def test_edgetpu_is_not_of_torchvision(monkeypatch):
    """Its definition is ours, its weights are a file of the user's."""
    network = load_network("mobilenet_edgetpu_100", weights=None)
    assert network.widths == [96, 192]
    maps = network.maps(batch(1, 3, 97, 130))
    assert [tuple(m.shape[2:]) for m in maps] == [(7, 9), (4, 5)]
    monkeypatch.delenv("SKLEARN_ZOOMOUT_WEIGHTS", raising=False)
    with pytest.raises(FileNotFoundError, match="cannot be downloaded"):
        load_network("mobilenet_edgetpu_100")


@needs_weights
def test_edgetpu_takes_its_published_weights():
    """Names and shapes fit, and of 1,000 classes it sees a cat in a cat's picture."""
    network = load_network("mobilenet_edgetpu_100")
    pixels = network.prepare(skimage.data.chelsea()[:, 75:375] / np.float32(255))
    with torch.inference_mode():
        scores = network.module(resize(pixels, (224, 224))[None])[0]
    assert int(scores.argmax()) in (281, 282, 285)  # tabby, tiger cat, Egyptian cat


def test_networks_are_shared_until_their_file_changes(tmp_path):
    """Levels and fits of equal arguments share one; a new file is read."""
    torch.manual_seed(0)
    path = tmp_path / "weights.pth"
    torch.save(torchvision.models.squeezenet1_1(weights=None).state_dict(), path)
    first = load_shared_network("squeezenet1_1", path)
    assert load_shared_network("squeezenet1_1", path) is first
    assert load_shared_network("squeezenet1_1", path, ("features",)) is not first
    torch.save(torchvision.models.squeezenet1_1(weights=None).state_dict(), path)
    os.utime(path, ns=(0, 0))
    changed = load_shared_network("squeezenet1_1", path)
    assert changed.sha256 != first.sha256
    assert changed.sha256 == load_network("squeezenet1_1", path).sha256


def test_callables_are_called_for_every_fit():
    """They may return another network than before, unless it is asked for again."""
    networks = iter(torch.nn.Conv2d(3, width, 3) for width in (2, 4, 6))

    def build():
        return next(networks)

    assert load_shared_network(build, "default").widths == [2]
    assert load_shared_network(build, "default").widths == [4]
    for _ in range(2):
        assert load_shared_network(build, "default", again=True).widths == [6]
