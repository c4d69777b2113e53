"""TensorFlow's padding of strided convolutions."""

import os

import pytest

torch = pytest.importorskip("torch")
torchvision = pytest.importorskip("torchvision")

from sklearn_zoomout import Backbone  # noqa: E402
from sklearn_zoomout.backbones import load_network  # noqa: E402

needs_weights = pytest.mark.skipif(
    "SKLEARN_ZOOMOUT_WEIGHTS" not in os.environ, reason="no folder of weights"
)


def batch(*shape):
    """Draw standardized images."""
    return torch.randn(*shape, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("size", [(64, 64), (65, 63), (64, 97)])
def test_same_padding_pads_right_and_bottom_only(size):
    """On even sizes TensorFlow pads nothing left and top, on odd ones both sides."""
    layers = ["features.0.0"]
    network = load_network(Backbone("mobilenet_v2_tf2", None))
    x = batch(1, 3, *size)
    height, width = size
    before_after = (width % 2, 1, height % 2, 1)
    with torch.inference_mode():
        padded = torch.nn.functional.pad(x, before_after)
        weight = network.module.features[0][0].weight
        expected = torch.nn.functional.conv2d(padded, weight, stride=2)
    torch.testing.assert_close(network.maps(x, layers)[0], expected)
    plain = load_network(Backbone("mobilenet_v2", None)).maps(x, layers)[0]
    same_as_torch = torch.allclose(plain, expected, atol=1e-5)
    assert same_as_torch == (height % 2 == 1 and width % 2 == 1)


@needs_weights
def test_pretrained_same_padding_matches_explicit_padding():
    """On even sizes all strided convolutions of MobileNet V2 pad right and bottom."""
    network = load_network(Backbone("mobilenet_v2_tf2"))
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
    found = network.maps(x, network.taps().layers)[0]
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)


@needs_weights
def test_weights_of_a_variant_bring_its_preprocessing():
    """MobileNet V2 takes the file of the TensorFlow variant, padding included."""
    plain, variant = map(
        load_network, (Backbone("mobilenet_v2"), Backbone("mobilenet_v2_tf2"))
    )
    assert plain.sha256 == variant.sha256
    assert plain.spec.same_padding
    x = batch(1, 3, 64, 64)
    maps = [network.maps(x, ["features"])[0] for network in (plain, variant)]
    assert torch.equal(*maps)
