"""The networks that come with the library."""

import hashlib
import sys

import numpy as np
import pytest
import skimage.data

torch = pytest.importorskip("torch")
safetensors = pytest.importorskip("safetensors.torch")

from sklearn_zoomout import Backbone  # noqa: E402
from sklearn_zoomout.backbones import _weights as weights_module  # noqa: E402
from sklearn_zoomout.backbones import load_network  # noqa: E402
from sklearn_zoomout.backbones.zoomnet import ZoomNet, ZoomNetLarge  # noqa: E402

FOLDER = weights_module.EMBEDDED_FOLDER
CLASSES = {"zoomnet": ZoomNet, "zoomnet_large": ZoomNetLarge}
#: The last layers of every resolution, and their widths.
LAYERS = {
    "zoomnet": {"blocks.0": 16, "blocks.2": 24, "blocks.5": 32}
    | {"blocks.12": 96, "blocks.15": 160},
    "zoomnet_large": {"blocks.0": 16, "blocks.4": 32, "blocks.8": 48}
    | {"blocks.16": 96, "blocks.21": 192},
}
STRIDES = (2, 4, 8, 16, 32)
#: Bytes, and multiplications at 224 x 224.
LIMITS = {
    "zoomnet": (3_000_000, 250_000_000),
    "zoomnet_large": (5_000_000, 800_000_000),
}


@pytest.fixture(params=list(CLASSES))
def name(request):
    """A network."""
    return request.param


@pytest.fixture
def nothing_else(monkeypatch):
    """An environment without torchvision, the internet and a folder of weights."""
    monkeypatch.setitem(sys.modules, "torchvision", None)
    monkeypatch.delenv("SKLEARN_ZOOMOUT_WEIGHTS", raising=False)

    def offline(*args, **kwargs):
        raise OSError("no network")

    monkeypatch.setattr(torch.hub, "download_url_to_file", offline)


def file_of(name):
    """The file of a network's weights."""
    return FOLDER / f"{name}.safetensors"


def small_photo(image, height=96, width=128):
    """Shrink an image, and standardize it for the network."""
    pixels = torch.from_numpy(image).permute(2, 0, 1)[None].float() / 127.5 - 1
    size = (height, width)
    return torch.nn.functional.interpolate(pixels, size, mode="area")


def test_it_needs_nothing_but_the_library(name, nothing_else):
    """Offline and without torchvision it loads its weights and computes two maps."""
    network = load_network(Backbone(name))
    assert network.source == str(file_of(name))
    maps = network.maps(torch.zeros(2, 3, 64, 96), network.taps().layers)
    width = {"zoomnet": 160, "zoomnet_large": 192}[name]
    assert [tuple(m.shape) for m in maps] == [(2, 96, 4, 6), (2, width, 2, 3)]


def test_all_layers_are_the_last_of_every_resolution(name):
    """Their names and their widths are those of the definition."""
    taps = load_network(Backbone(name)).taps("all")
    assert dict(zip(taps.layers, taps.widths, strict=True)) == LAYERS[name]


def test_weights_are_the_ones_that_were_measured(name):
    """The digest in the code is that of the file and of the loaded network."""
    digest = hashlib.sha256(file_of(name).read_bytes()).hexdigest()
    assert digest == weights_module.EMBEDDED_SHA256[name]
    assert load_network(Backbone(name)).sha256 == digest


@pytest.mark.parametrize("damage", ["truncated", "one bit"])
def test_damaged_weights_are_refused(damage, name, tmp_path, monkeypatch):
    """The error names the file and says what to do."""
    content = bytearray(file_of(name).read_bytes())
    if damage == "truncated":
        del content[-100:]
    else:
        content[-1] ^= 1
    (tmp_path / f"{name}.safetensors").write_bytes(content)
    monkeypatch.setattr(weights_module, "EMBEDDED_FOLDER", tmp_path)
    with pytest.raises(
        ValueError, match=rf"{name}.safetensors' is damaged.*install that"
    ):
        load_network(Backbone(name))


def test_missing_weights_are_explained(name, tmp_path, monkeypatch):
    """The error says what to do."""
    monkeypatch.setattr(weights_module, "EMBEDDED_FOLDER", tmp_path)
    with pytest.raises(
        FileNotFoundError, match=rf"{name}.safetensors is missing; .* install that"
    ):
        load_network(Backbone(name))


def test_default_weights_are_always_its_own(name, tmp_path, monkeypatch):
    """A file of the same name in the user's folder is used only if it is named."""
    state = CLASSES[name]().state_dict()
    path = tmp_path / f"{name}_mine.safetensors"
    safetensors.save_file(state, path)
    monkeypatch.setenv("SKLEARN_ZOOMOUT_WEIGHTS", str(tmp_path))
    assert load_network(Backbone(name)).source == str(file_of(name))
    mine = load_network(Backbone(name, path))
    assert torch.equal(mine.module.stem.weight, state["stem.weight"])


def test_weights_of_another_network_are_refused(tmp_path):
    """Keys that do not fit are named, those of its sibling too."""
    path = tmp_path / "mobilenet_v2.safetensors"
    safetensors.save_file({"features.0.0.weight": torch.zeros(32, 3, 3, 3)}, path)
    with pytest.raises(ValueError, match=r"does not fit backbone 'zoomnet'.*missing"):
        load_network(Backbone(weights=path))
    for name, other in (list(CLASSES), list(CLASSES)[::-1]):
        with pytest.raises(ValueError, match=f"does not fit backbone '{name}'"):
            load_network(Backbone(name, file_of(other)))


def test_it_is_small(name):
    """Few bytes, few multiplications, and plain convolutions only."""
    n_bytes, n_products = LIMITS[name]
    assert file_of(name).stat().st_size <= n_bytes
    network, products = CLASSES[name](), []

    def count(conv, _inputs, output):
        products.append(conv.weight.numel() * output.shape[2] * output.shape[3])

    leaves = [m for m in network.modules() if not list(m.children())]
    assert all(isinstance(m, torch.nn.Conv2d | torch.nn.Identity) for m in leaves)
    for leaf in leaves:
        if isinstance(leaf, torch.nn.Conv2d):
            leaf.register_forward_hook(count)
    network(torch.zeros(1, 3, 224, 224))
    assert sum(products) <= n_products


@pytest.mark.parametrize("size", [(96, 128), (97, 131), (33, 190)])
def test_maps_have_a_cell_for_every_stride_begun(size, name):
    """A map of stride s has ceil(size / s) cells along each side."""
    network = load_network(Backbone(name))
    maps = network.maps(torch.zeros(1, 3, *size), list(LAYERS[name]))
    for stride, found in zip(STRIDES, maps, strict=True):
        assert found.shape[2:] == tuple(-(-side // stride) for side in size)


@pytest.mark.parametrize("stride", STRIDES)
def test_cells_are_centered_on_their_receptive_fields(stride, name):
    """Their centers are at most a quarter of a cell apart.

    All weights are equal, so that the center of the gradient is that of the receptive
    field.
    """
    network = CLASSES[name]().double().requires_grad_(False)
    layer = list(LAYERS[name])[STRIDES.index(stride)]
    for conv in network.modules():
        if isinstance(conv, torch.nn.Conv2d):
            conv.weight.fill_(0.1 / conv.weight[0].numel())
            conv.bias.fill_(1.0)
    seen = {}
    network.get_submodule(layer).register_forward_hook(
        lambda _module, _inputs, output: seen.update(map=output)
    )
    image = torch.zeros(1, 3, 512, 512, dtype=torch.double, requires_grad=True)
    network(image)
    cell = 256 // stride
    seen["map"][0, :, cell, cell].sum().backward()
    weight = image.grad[0].sum(dim=(0, 1))
    center = float((weight * torch.arange(512)).sum() / weight.sum())
    assert abs(center - ((cell + 0.5) * stride - 0.5)) <= stride / 4


def test_features_tell_photographs_apart(name):
    """Crops of one photograph are more alike than crops of two photographs.

    The crops differ in place, size and brightness, so that colors do not suffice.
    """
    photos = [
        skimage.data.astronaut(),
        skimage.data.chelsea(),
        skimage.data.coffee(),
        skimage.data.rocket(),
    ]
    network = load_network(Backbone(name))
    views = []
    for photo in photos:
        height, width, _ = photo.shape
        left = photo[:, : int(0.7 * width)]
        right = photo[int(0.1 * height) :, int(0.35 * width) :, :] // 2
        views += [small_photo(left), small_photo(np.ascontiguousarray(right))]
    vectors = network.vectors(torch.cat(views), network.taps()).numpy()
    vectors = (vectors - vectors.mean(axis=0)) / vectors.std(axis=0)
    correlation = np.corrcoef(vectors)
    np.fill_diagonal(correlation, -1)
    partner = np.arange(8) ^ 1
    np.testing.assert_array_equal(correlation.argmax(axis=1), partner)


def test_model_card_and_license_are_beside_the_weights(name):
    """The card states the digest of the file."""
    card = (FOLDER / "MODEL_CARD.md").read_text()
    assert f"{name}.safetensors" in card
    assert weights_module.EMBEDDED_SHA256[name] in card
    assert "Apache License" in (FOLDER / "LICENSE").read_text()
