"""Files of weights: finding, reading and checking them."""

import hashlib
import io
import pickle
import random
import signal
import time
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")
torchvision = pytest.importorskip("torchvision")
safetensors = pytest.importorskip("safetensors.torch")

from sklearn_zoomout import Backbone  # noqa: E402
from sklearn_zoomout.backbones import _weights as weights_module  # noqa: E402
from sklearn_zoomout.backbones import load_network  # noqa: E402
from sklearn_zoomout.backbones._names import find_backbone  # noqa: E402
from sklearn_zoomout.backbones._weights import WeightsFile, find_weights, read_weights  # noqa: E402

SPEC = find_backbone("squeezenet1_1")


@pytest.fixture(scope="module")
def state():
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return torchvision.models.squeezenet1_1(weights=None).state_dict()


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """An empty folder of weights; nothing can be downloaded."""
    monkeypatch.setenv("SKLEARN_ZOOMOUT_WEIGHTS", str(tmp_path))
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path / "hub"))

    def offline(url, *args, **kwargs):
        raise OSError("no network")

    monkeypatch.setattr(torch.hub, "download_url_to_file", offline)
    return tmp_path


def save(state, path):
    if path.suffix == ".safetensors":
        safetensors.save_file({k: t.contiguous() for k, t in state.items()}, path)
    else:
        torch.save(state, path)
    return path


def equal_weights(network, state):
    found = network.module.state_dict()
    return all(torch.equal(found[key], tensor) for key, tensor in state.items())


@pytest.mark.parametrize("suffix", [".safetensors", ".pth", ".pt"])
def test_file_of_weights_is_loaded(state, tmp_path, suffix):
    """Each format gives the same network, its path and its sha256."""
    path = save(state, tmp_path / f"any_name{suffix}")
    network = load_network(Backbone("squeezenet1_1", path))
    assert equal_weights(network, state)
    assert network.source == str(path)
    assert network.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()


def test_half_precision_becomes_single(state, tmp_path):
    """Float16 files run in float32."""
    half = {key: tensor.half() for key, tensor in state.items()}
    network = load_network(
        Backbone("squeezenet1_1", save(half, tmp_path / "w.safetensors"))
    )
    assert equal_weights(network, {key: tensor.float() for key, tensor in half.items()})
    assert {p.dtype for p in network.module.parameters()} == {torch.float32}


def test_loading_leaves_the_global_generator_alone(state, tmp_path):
    """No random numbers are drawn for weights that are replaced."""
    path = save(state, tmp_path / "w.pth")
    before = torch.random.get_rng_state()
    load_network(Backbone("squeezenet1_1", path))
    assert torch.equal(before, torch.random.get_rng_state())


def test_batch_norm_counters_may_be_missing(tmp_path):
    """Older files hold no num_batches_tracked."""
    state = torchvision.models.shufflenet_v2_x0_5(weights=None).state_dict()
    old = {k: t for k, t in state.items() if "num_batches" not in k}
    network = load_network(
        Backbone("shufflenet_v2_x0_5", save(old, tmp_path / "w.pth"))
    )
    assert equal_weights(network, old)


def test_old_densenet_keys_are_renamed(tmp_path):
    """torchvision's own DenseNet files are older than its code."""
    state = torchvision.models.densenet121(weights=None).state_dict()
    old = {
        key.replace("norm1.", "norm.1.")
        .replace("norm2.", "norm.2.")
        .replace("conv1.", "conv.1.")
        .replace("conv2.", "conv.2."): tensor
        for key, tensor in state.items()
    }
    assert old.keys() != state.keys()
    network = load_network(Backbone("densenet121", save(old, tmp_path / "w.pth")))
    assert equal_weights(network, state)


def test_regnet_loads_although_it_cannot_be_built_empty(tmp_path):
    """RegNet computes its widths with tensors, which need numbers."""
    state = torchvision.models.regnet_y_400mf(weights=None).state_dict()
    network = load_network(Backbone("regnet_y_400mf", save(state, tmp_path / "w.pth")))
    assert equal_weights(network, state)


def touch(folder, *names):
    for name in names:
        (folder / name).write_bytes(b"")


@pytest.mark.parametrize(
    ("backbone", "files", "expected"),
    [
        ("vgg16", "vgg16_bn-6c.pth vgg16-39.pth", "vgg16-39.pth"),
        ("resnet50", "resnet50_a.pth resnet50.pt", "resnet50.pt"),
        ("mobilenet_v2", "mobilenet_v2_tf2_a.pt", "mobilenet_v2_tf2_a.pt"),
        ("mobilenet_v2", "mobilenet_v2_tf2.pt mobilenet_v2-7.pt", "mobilenet_v2-7.pt"),
        ("vgg16", "vgg16.txt README.md other.pt vgg16_x.pth", "vgg16_x.pth"),
    ],
)
def test_file_is_chosen_by_its_name(folder, backbone, files, expected):
    """The longest known backbone that a name begins with owns the file."""
    touch(folder, *files.split())
    assert find_weights(find_backbone(backbone), "default").path.name == expected


def test_file_of_a_longer_name_is_another_network(folder):
    """VGG-16 with batch normalization does not stand in for VGG-16."""
    touch(folder, "vgg16_bn.safetensors")
    with pytest.raises(OSError, match="could not download"):
        find_weights(find_backbone("vgg16"), "default")


def test_variant_file_brings_its_preprocessing(folder):
    """A file of MobileNet V2's TensorFlow variant is used as that variant."""
    touch(folder, "mobilenet_v2_tf2.safetensors")
    spec = find_backbone("mobilenet_v2")
    for weights in ("default", folder / "mobilenet_v2_tf2.safetensors"):
        assert find_weights(spec, weights).spec.name == "mobilenet_v2_tf2"


def test_variant_does_not_take_the_plain_file(folder):
    """The TensorFlow variant has no use for torchvision's own weights."""
    touch(folder, "mobilenet_v2-b0353104.pth")
    with pytest.raises(FileNotFoundError, match="put a file mobilenet_v2_tf2.safe"):
        find_weights(find_backbone("mobilenet_v2_tf2"), "default")


def test_ambiguous_files_are_not_guessed(folder):
    """Two files of one backbone are named, and the user chooses."""
    touch(folder, "vgg16_a.pth", "vgg16_b.pth")
    with pytest.raises(ValueError, match="vgg16_a.pth.*vgg16_b.pth.*pass the path"):
        find_weights(find_backbone("vgg16"), "default")


def test_environment_variable_must_name_a_folder(monkeypatch, tmp_path):
    """A wrong folder is an error, not a reason to download."""
    monkeypatch.setenv("SKLEARN_ZOOMOUT_WEIGHTS", str(tmp_path / "missing"))
    with pytest.raises(FileNotFoundError, match="which is not a folder"):
        find_weights(SPEC, "default")


def test_missing_path():
    """A path that is not there is named."""
    with pytest.raises(FileNotFoundError, match="no file 'nowhere.pth'"):
        find_weights(SPEC, "nowhere.pth")


def test_offline_without_weights_says_what_to_fetch(folder, capsys):
    """The error has the URL, the place and the beginning of the sha256."""
    url = "https://download.pytorch.org/models/squeezenet1_1-b8a52dc0.pth"
    with pytest.raises(OSError, match="begins with b8a52dc0") as error:
        find_weights(SPEC, "default")
    place = folder / "hub" / "checkpoints" / "squeezenet1_1-b8a52dc0.pth"
    assert url in str(error.value)
    assert str(place) in str(error.value)
    assert f"Downloading {url}" in capsys.readouterr().err


def test_download_is_checked_against_the_hash(folder, monkeypatch):
    """torch compares the digest before it moves the file into place."""
    calls = []

    def download(url, path, hash_prefix, progress):
        calls.append((hash_prefix, progress))
        Path(path).write_bytes(b"")

    monkeypatch.setattr(torch.hub, "download_url_to_file", download)
    found = find_weights(SPEC, "default")
    assert calls == [("b8a52dc0", True)]
    assert found.sha256 == "b8a52dc0"


def test_downloaded_file_that_was_altered(folder, state):
    """Expected and found digests are told."""
    place = folder / "hub" / "checkpoints"
    place.mkdir(parents=True)
    path = save(state, place / "squeezenet1_1-b8a52dc0.pth")
    sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
    with pytest.raises(ValueError, match=f"begins with b8a52dc0, found {sha256}"):
        load_network(Backbone("squeezenet1_1"))


@pytest.mark.parametrize("suffix", [".safetensors", ".pth"])
@pytest.mark.parametrize(
    "damage",
    [
        lambda content: content[: len(content) // 2],
        lambda content: b"",
        lambda content: b"<!DOCTYPE html><html>404</html>",
        lambda content: b"\xff" * 100,
    ],
    ids=["truncated", "empty", "html", "noise"],
)
def test_damaged_files(state, tmp_path, suffix, damage):
    """What is no file of weights is named with its digest."""
    path = save(state, tmp_path / f"w{suffix}")
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(ValueError, match=f"w{suffix}.*sha256 .*not a file of weights"):
        load_network(Backbone("squeezenet1_1", path))


class Attack:
    """Runs code when it is unpickled carelessly."""

    def __init__(self, victim):
        self.victim = victim

    def __reduce__(self):
        return (Path.touch, (self.victim,))


@pytest.mark.parametrize("suffix", [".pth", ".pt", ".safetensors"])
@pytest.mark.parametrize("how", ["pickle", "torch"])
def test_code_in_a_file_is_not_run(tmp_path, suffix, how):
    """A pickle that runs code is refused before it does."""
    victim, path = tmp_path / "victim", tmp_path / f"w{suffix}"
    attack = {"features.0.weight": Attack(victim)}
    if how == "pickle":
        path.write_bytes(pickle.dumps(attack))
    else:
        torch.save(attack, path)
    with pytest.raises(ValueError, match="nothing else is run"):
        load_network(Backbone("squeezenet1_1", path))
    assert not victim.exists()
    content = path.read_bytes()  # careless reading shows that the attack is real
    if how == "pickle":
        pickle.loads(content)
    else:
        torch.load(io.BytesIO(content), weights_only=False)
    assert victim.exists()


@pytest.mark.parametrize("content", [[1, 2], {"a": 1}, {}, torch.zeros(3)])
def test_file_of_something_else(tmp_path, content):
    """Files that hold no dict of tensors are refused."""
    torch.save(content, tmp_path / "w.pth")
    with pytest.raises(ValueError, match="not a file of weights"):
        read_weights(WeightsFile(tmp_path / "w.pth", SPEC))


def test_foreign_weights_name_the_difference(state, tmp_path):
    """Missing and unexpected keys, and shapes with expected and found."""
    state = dict(state)
    state["extra"] = state.pop("features.0.bias")
    state["classifier.1.weight"] = torch.zeros(7, 512, 1, 1)
    state["classifier.1.bias"] = torch.zeros(1000, dtype=torch.int8)
    path = save(state, tmp_path / "w.safetensors")
    with pytest.raises(ValueError, match="does not fit backbone") as error:
        load_network(Backbone("squeezenet1_1", path))
    message = str(error.value)
    assert "1 missing (features.0.bias)" in message
    assert "1 unexpected (extra)" in message
    assert "expected (1000, 512, 1, 1), found (7, 512, 1, 1)" in message
    assert "expected (1000,), found (1000,) of torch.int8" in message


def test_weights_of_another_network(state, tmp_path):
    """A whole other network is told apart without listing every key."""
    path = save(state, tmp_path / "w.safetensors")
    with pytest.raises(ValueError, match=r"missing \(conv1.weight.*\.\.\.\); 52 unexp"):
        load_network(Backbone("resnet18", path))


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_are_not_finite(state, tmp_path, value):
    """One NaN is found and named."""
    state = {key: tensor.clone() for key, tensor in state.items()}
    state["features.3.squeeze.weight"][1, 2] = value
    path = save(state, tmp_path / "w.safetensors")
    with pytest.raises(ValueError, match=r"NaN or inf in .*features.3.squeeze.weight"):
        load_network(Backbone("squeezenet1_1", path))


def test_weights_without_classifier_give_maps_but_no_fc7(narrow_fc7, tmp_path):
    """IMAGENET1K_FEATURES weights have a classifier of NaN."""
    with torch.device("meta"):
        model = torchvision.models.get_model("alexnet", weights=None)
        shapes = model.state_dict()
    state = {
        key: torch.full(t.shape, float("nan") if "classifier" in key else 0.0)
        for key, t in shapes.items()
    }
    path = save({k: t.half() for k, t in state.items()}, tmp_path / "w.safetensors")
    with pytest.raises(ValueError, match="no usable classifier.*IMAGENET1K_FEATURES"):
        load_network(Backbone("alexnet", path)).taps()
    network = load_network(Backbone("alexnet", path))
    assert network.taps(["features"]).widths == (256,)


def test_callable_takes_a_file_too(tmp_path):
    """A user's own network may be filled from a file."""

    def build():
        return torch.nn.Conv2d(3, 4, 1)

    state = {"weight": torch.rand(4, 3, 1, 1), "bias": torch.rand(4)}
    path = save(state, tmp_path / "w.safetensors")
    assert equal_weights(load_network(Backbone(build, path)), state)


def test_digest_sees_names_shapes_and_values():
    """Networks that differ in anything have different digests."""
    digest = weights_module.digest_tensors
    base = {"a": torch.zeros(2, 3)}
    others = [{"b": base["a"]}, {"a": torch.zeros(3, 2)}, {"a": torch.ones(2, 3)}]
    assert digest(base) == digest({"a": torch.zeros(2, 3)})
    assert all(digest(base) != digest(other) for other in others)


def test_a_file_that_declares_too_much_is_named(state, tmp_path, monkeypatch):
    """A damaged size asks for more memory than there is."""
    path = save(state, tmp_path / "w.safetensors")

    def fail(found):
        raise MemoryError

    monkeypatch.setattr(weights_module, "_read_file", fail)
    with pytest.raises(ValueError, match=r"w\.safetensors' declares more numbers"):
        load_network(Backbone("squeezenet1_1", path))


def test_an_interruption_does_not_blame_the_file(state, tmp_path, monkeypatch):
    """Torch may turn Ctrl-C into an error of its own; the file can be read again."""
    path = save(state, tmp_path / "w.safetensors")
    read = weights_module._read_file
    errors = iter([ValueError("could not determine the shape of a storage")])

    def interrupted(found):
        for error in errors:
            raise error
        return read(found)

    monkeypatch.setattr(weights_module, "_read_file", interrupted)
    found = WeightsFile(path, SPEC)
    with pytest.raises(KeyboardInterrupt):
        read_weights(found)
    assert read_weights(found)[0].keys() == state.keys()


# A file that is just being opened is closed when it is forgotten.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.slow
@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_ctrl_c_stays_ctrl_c(state, tmp_path, suffix):
    """At any moment of reading; torch makes other errors of some of them."""
    if not hasattr(signal, "setitimer"):
        pytest.skip("there is no timer")
    found = WeightsFile(save(state, tmp_path / f"w{suffix}"), SPEC)
    read_weights(found)
    start = time.perf_counter()
    read_weights(found)
    duration, draw, n_interrupted = time.perf_counter() - start, random.Random(0), 0
    before = signal.signal(signal.SIGALRM, signal.default_int_handler)
    try:
        for _ in range(300):
            try:
                signal.setitimer(signal.ITIMER_REAL, draw.uniform(1e-4, duration))
                read_weights(found)
                signal.setitimer(signal.ITIMER_REAL, 0)
            except KeyboardInterrupt:
                n_interrupted += 1
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert n_interrupted > 50


def flip(path, position):
    content = bytearray(path.read_bytes())
    content[position] ^= 16
    path.write_bytes(content)


@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_a_stated_digest_finds_every_flip(state, tmp_path, suffix):
    """Also in a number, which gives other features silently without it."""
    path = save(state, tmp_path / f"w{suffix}")
    sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
    backbone = Backbone("squeezenet1_1", path, weights_sha256=sha256.upper())
    assert backbone.weights_sha256 == sha256
    assert equal_weights(load_network(backbone), state)
    size = path.stat().st_size
    for position in range(0, size, size // 10):
        flip(path, position)
        with pytest.raises(ValueError, match=f"damaged.*{sha256}.*the original file"):
            load_network(backbone)
        flip(path, position)
    flip(path, size // 2)
    assert not equal_weights(load_network(Backbone("squeezenet1_1", path)), state)


@pytest.mark.parametrize("name", ["squeezenet1_1", lambda: torch.nn.Conv2d(3, 4, 1)])
def test_a_stated_digest_of_tensors(name):
    """Random networks and those of a callable have no file."""
    weights = None if isinstance(name, str) else "default"
    sha256 = load_network(Backbone(lambda: torch.nn.Identity())).sha256
    with pytest.raises(ValueError, match=f"expected those of weights_sha256, {sha256}"):
        load_network(Backbone(name, weights, weights_sha256=sha256))
    if weights is None:
        sha256 = load_network(Backbone(name, None)).sha256
        assert (
            load_network(Backbone(name, None, weights_sha256=sha256)).sha256 == sha256
        )


@pytest.mark.parametrize("sha256", ["", "12ab", "g" * 64, "0" * 65, 12])
def test_what_is_no_digest_is_refused(sha256):
    """A prefix would be too weak."""
    with pytest.raises((ValueError, TypeError), match="weights_sha256"):
        Backbone(weights_sha256=sha256)
