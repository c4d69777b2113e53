"""From the description of a network to a loaded one."""

import os
import pickle
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

torch = pytest.importorskip("torch")
torchvision = pytest.importorskip("torchvision")

from sklearn_zoomout import Backbone, ConvnetSuperpixelFeatures  # noqa: E402
from sklearn_zoomout.backbones import _loading, load_network  # noqa: E402
from sklearn_zoomout.backbones._loading import load_shared_network  # noqa: E402

needs_weights = pytest.mark.skipif(
    "SKLEARN_ZOOMOUT_WEIGHTS" not in os.environ, reason="no folder of weights"
)


def tiny():
    """A network of a user's own."""
    return torch.nn.Sequential(torch.nn.Conv2d(3, 6, 3, stride=2), torch.nn.ReLU())


@pytest.fixture
def loads(monkeypatch):
    """The backbones that are loaded, in order."""
    loaded = []

    def record(backbone, fine_tuned=None):
        loaded.append(backbone)
        return load_network(backbone, fine_tuned)

    monkeypatch.setattr(_loading, "load_network", record)
    return loaded


def test_random_weights_follow_the_seed_only():
    """Random networks repeat, and torch's own generator is left alone."""
    before = torch.random.get_rng_state()
    first, again, other = (
        load_network(Backbone("squeezenet1_0", None, random_state=seed))
        for seed in (1, 1, 2)
    )
    assert torch.equal(before, torch.random.get_rng_state())
    assert first.sha256 == again.sha256 != other.sha256
    assert first.source == "random"


def test_a_callable_returns_the_network():
    """Its output is the map, and the seed determines its weights."""
    network = load_network(Backbone(tiny, random_state=4))
    taps = network.taps()
    assert network.source == "callable"
    assert taps.widths == (6,)
    maps = network.maps(torch.zeros(1, 3, 9, 11), taps.layers)
    assert maps[0].shape == (1, 6, 4, 5)
    assert network.sha256 == load_network(Backbone(tiny, random_state=4)).sha256


def test_the_network_of_the_caller_is_left_as_it_was():
    """Only a copy is frozen."""
    mine = tiny()
    load_network(Backbone(lambda: mine))
    assert mine.training
    assert all(p.requires_grad for p in mine.parameters())


def test_a_module_instead_of_a_name_is_refused():
    """A module as parameter would be copied by every clone."""
    with pytest.raises(TypeError, match="got the network itself"):
        load_network(Backbone(tiny()))
    with pytest.raises(TypeError, match="must return a torch.nn.Module, got int"):
        load_network(Backbone(lambda: 3))


@pytest.mark.parametrize("device", ["cuda:99", "nonsense", "meta"])
def test_a_device_that_does_not_exist(device):
    """The CPU does not take its place silently."""
    with pytest.raises(ValueError, match=f"device='{device}' cannot be used here"):
        load_network(Backbone(device=device))


def classify(network, image):
    """Return the best class of the central 224 of 256 pixels, as in evaluations."""
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
    assert classify(load_network(Backbone(name)), image) in classes


def test_equal_backbones_share_a_network(loads):
    """Whatever layers are read, and however the network is fine-tuned later."""
    shared = load_shared_network(Backbone())
    assert load_shared_network(Backbone("zoomnet", fine_tune=True)) is shared
    assert shared.taps("all") is load_shared_network(Backbone()).taps("all")
    assert load_shared_network(Backbone(flip=True)) is not shared
    assert loads == [Backbone(), Backbone(flip=True)]


def test_a_network_is_loaded_again_when_its_file_changes(tmp_path):
    """A new file of the same name is read."""
    torch.manual_seed(0)
    path = tmp_path / "weights.pth"
    torch.save(torchvision.models.squeezenet1_1(weights=None).state_dict(), path)
    backbone = Backbone("squeezenet1_1", path)
    first = load_shared_network(backbone)
    assert load_shared_network(backbone) is first
    torch.save(torchvision.models.squeezenet1_1(weights=None).state_dict(), path)
    os.utime(path, ns=(0, 0))
    changed = load_shared_network(backbone)
    assert changed.sha256 != first.sha256
    assert changed.sha256 == load_network(backbone).sha256


def test_callables_are_called_for_every_fit():
    """They may return another network than before, unless it is asked for again."""
    networks = iter(torch.nn.Conv2d(3, width, 3) for width in (2, 4, 6))
    backbone = Backbone(lambda: next(networks))

    def width(**options):
        return load_shared_network(backbone, **options).taps().widths

    assert width() == (2,)
    assert width() == (4,)
    for _ in range(2):
        assert width(again=True) == (6,)


def test_few_networks_are_kept(loads):
    """Memory is bounded; the network that was not used for longest goes first."""
    backbones = [Backbone(weights=None, random_state=seed) for seed in range(5)]
    for backbone in [*backbones, backbones[1], backbones[0]]:
        load_shared_network(backbone)
    assert loads == [*backbones, backbones[0]]


def test_threads_of_a_process_load_a_network_once(superpixels, loads):
    """Tasks are sent without the network, which all tasks of a process share."""
    backbone = Backbone(weights=None, random_state=3)
    level = ConvnetSuperpixelFeatures(backbone, input_size=96)
    sent = pickle.dumps(level.fit(superpixels))
    assert len(sent) < 20_000
    rows = [pickle.loads(sent).describe(superpixels[0]) for _ in range(3)]
    assert len(loads) == 1
    np.testing.assert_array_equal(rows[2], level.describe(superpixels[0]))
    _loading._load_once.cache_clear()
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda s: pickle.loads(sent).describe(s), superpixels))
    assert len(loads) == 2


@pytest.mark.parametrize("place", ["read_weights", "load_state", "Network"])
def test_an_interruption_leaves_no_half_network(monkeypatch, place):
    """The next call loads the network again, as a whole."""
    work = getattr(_loading, place)

    def interrupted(*args):
        work(*args)
        raise KeyboardInterrupt

    expected = load_network(Backbone()).weights()
    monkeypatch.setattr(_loading, place, interrupted)
    with pytest.raises(KeyboardInterrupt):
        load_shared_network(Backbone())
    monkeypatch.undo()
    found = load_shared_network(Backbone()).weights()
    for name, values in expected.items():
        np.testing.assert_array_equal(found[name], values)
