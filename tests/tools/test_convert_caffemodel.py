"""The converter of Caffe files: reading, naming, refusing what is damaged."""

import functools
import importlib.util
import pickle
import struct
import subprocess
import sys
import tracemalloc
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")
torchvision = pytest.importorskip("torchvision")

from sklearn_zoomout import Backbone  # noqa: E402
from sklearn_zoomout.backbones import _cnn_s, load_network  # noqa: E402
from sklearn_zoomout.backbones._cnn_s import CNNS  # noqa: E402

SCRIPT = Path(__file__).parents[2] / "tools" / "convert_caffemodel.py"
spec = importlib.util.spec_from_file_location("convert_caffemodel", SCRIPT)
script = importlib.util.module_from_spec(spec)
spec.loader.exec_module(script)
convert, name_as_torch = script.convert, script.name_as_torch
read_caffemodel = script.read_caffemodel

CAFFE = "vgg16_caffe"
CHANNELS, UNITS = (6, 5, 4, 4, 7), 10
LAYOUTS = ["old", "new", "unpacked", "double", "unpacked double"]


def varint(value):
    digits = []
    while value >= 0x80:
        digits.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*digits, value])


def number(field, value):
    return varint(field << 3) + varint(value)


def message(field, content):
    return varint(field << 3 | 2) + varint(len(content)) + content


def write_blob(array, layout):
    """Write a BlobProto; in old files all arrays have four axes."""
    array = np.asarray(array)
    if layout == "old":
        sides = [1] * (4 - array.ndim) + list(array.shape)
        shape = b"".join(number(i, side) for i, side in enumerate(sides, start=1))
        return shape + message(5, array.astype("<f4").tobytes())
    if layout.startswith("unpacked"):
        shape = message(7, b"".join(number(1, side) for side in array.shape))
        double = layout.endswith("double")
        tag, kind = (
            varint(8 << 3 | 1 if double else 5 << 3 | 5),
            "<d" if double else "<f",
        )
        values = array.astype(kind).ravel()
        return shape + b"".join(tag + struct.pack(kind, value) for value in values)
    shape = message(7, message(1, b"".join(map(varint, array.shape))))
    if layout == "double":
        return shape + message(8, array.astype("<f8").tobytes())
    unused_gradient = message(6, bytes(8))
    return message(5, array.astype("<f4").tobytes()) + unused_gradient + shape


def write_layer(name, arrays, layout):
    blobs = [write_blob(array, layout) for array in arrays]
    if layout == "old":  # V1LayerParameter: bottom, name, type, blobs
        return message(
            2,
            message(2, b"below")
            + message(4, name.encode())
            + number(5, 4)
            + b"".join(message(6, blob) for blob in blobs),
        )
    return message(
        100,
        message(1, name.encode())
        + message(2, b"Convolution")
        + b"".join(message(7, blob) for blob in blobs)
        + number(10, 1),
    )


def write_net(layers, layout):
    """Write a NetParameter: name, input size, and layers with and without weights."""
    size = b"".join(number(4, side) for side in (1, 3, 224, 224))
    written = [write_layer(*item, layout) for item in layers.items()]
    relu = write_layer("relu", [], layout)
    return message(1, b"VGG") + size + relu + b"".join(written) + relu


@pytest.fixture(scope="module")
def model():
    """A CNN-S of few channels with random weights."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return CNNS(CHANNELS, UNITS).eval()


@pytest.fixture
def layers(model):
    """Its weights and biases, as Caffe names them."""
    parts = [*model.features.named_children(), *model.classifier.named_children()]
    return {
        name: [layer.weight.detach().numpy(), layer.bias.detach().numpy()]
        for name, layer in parts
        if hasattr(layer, "weight")
    }


@pytest.fixture(autouse=True)
def narrow(monkeypatch):
    """Make "cnn_s" the network of few channels."""
    monkeypatch.setattr(_cnn_s, "CNNS", functools.partial(CNNS, CHANNELS, UNITS))


def save(path, layers, layout="new"):
    path.write_bytes(write_net(layers, layout))
    return path


@pytest.mark.parametrize("layout", LAYOUTS)
def test_names_shapes_and_values(tmp_path, layout):
    """Every layout of the format gives the same arrays, of float32."""
    rng = np.random.default_rng(0)
    layers = {
        "conv1": [rng.normal(size=(2, 3, 5, 4)), rng.normal(size=2)],
        "fc6": [rng.normal(size=(3, 200))],
    }
    found = read_caffemodel(save(tmp_path / "w.caffemodel", layers, layout))
    assert list(found) == ["conv1", "fc6"]
    assert [len(blobs) for blobs in found.values()] == [2, 1]
    for name, arrays in layers.items():
        for array, blob in zip(arrays, found[name], strict=True):
            shape = array.shape
            if layout == "old":
                shape = (1,) * (4 - array.ndim) + shape
            assert blob.dtype == np.float32
            assert blob.shape == shape
            np.testing.assert_array_equal(blob.ravel(), np.float32(array).ravel())


@pytest.mark.parametrize("layout", LAYOUTS)
def test_network_is_loaded(model, layers, tmp_path, monkeypatch, layout):
    """The backbone finds the file, and fc7 is what torch computes of the weights."""
    path = save(tmp_path / "VGG_CNN_S.caffemodel", layers, layout)
    written = convert(path, tmp_path / "weights")
    assert written == tmp_path / "weights" / "cnn_s.safetensors"
    assert [f.name for f in written.parent.iterdir()] == ["cnn_s.safetensors"]
    monkeypatch.setenv("SKLEARN_ZOOMOUT_WEIGHTS", str(written.parent))
    network = load_network(Backbone("cnn_s"))
    assert network.source == str(written)
    x = 100 * torch.randn(2, 3, 224, 224, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        hidden = model.classifier[:-1](model.features(x).flatten(1))
    assert hidden.max() > 0
    torch.testing.assert_close(network.vectors(x, network.taps()), hidden)


class NarrowVGG16(torch.nn.Module):
    """VGG-16 of few channels."""

    def __init__(self):
        super().__init__()
        stages = [[4] * 2, [5] * 2, [6] * 3, [7] * 3, [8] * 3]
        plan = [item for stage in stages for item in [*stage, "M"]]
        self.features = torchvision.models.vgg.make_layers(plan)
        self.avgpool = torch.nn.AdaptiveAvgPool2d((7, 7))
        self.classifier = torch.nn.Sequential(
            torch.nn.Linear(8 * 7 * 7, 9),
            torch.nn.ReLU(),
            torch.nn.Dropout(),
            torch.nn.Linear(9, 11),
            torch.nn.ReLU(),
            torch.nn.Dropout(),
            torch.nn.Linear(11, 1000),
        )

    def forward(self, x):
        return self.classifier(self.avgpool(self.features(x)).flatten(1))


STAGES = enumerate((2, 2, 3, 3, 3), start=1)
VGG16_LAYERS = [
    *(f"conv{stage}_{i + 1}" for stage, n_layers in STAGES for i in range(n_layers)),
    *("fc6", "fc7", "fc8"),
]


@pytest.fixture
def vgg16(monkeypatch):
    """Make "vgg16" a narrow network; give one, and its weights in Caffe's names."""
    original = torchvision.models.get_model

    def get_model(name, **options):
        return NarrowVGG16() if name == "vgg16" else original(name, **options)

    monkeypatch.setattr(torchvision.models, "get_model", get_model)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = NarrowVGG16().eval()
    tensors = [tensor.numpy() for tensor in model.state_dict().values()]
    blobs = zip(tensors[::2], tensors[1::2], strict=True)
    return model, dict(zip(VGG16_LAYERS, map(list, blobs), strict=True))


@pytest.mark.parametrize("layout", ["old", "new"])
def test_vgg16_takes_caffe_weights(vgg16, tmp_path, layout):
    """The backbone has Caffe's preprocessing, and its weights any name."""
    model, layers = vgg16
    path = convert(save(tmp_path / "my.caffemodel", layers, layout), tmp_path, CAFFE)
    network = load_network(Backbone(CAFFE, path))
    assert network.spec.bgr
    x = 100 * torch.randn(1, 3, 224, 224, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        hidden = model.classifier[:-1](model.features(x).flatten(1))
    torch.testing.assert_close(network.vectors(x, network.taps()), hidden)


def test_all_parameters_of_vgg16_are_named():
    """Sixteen layers of Caffe are the modules of torchvision's VGG-16, in order."""
    layers = {name: [np.zeros(1, np.float32)] * 2 for name in VGG16_LAYERS}
    with torch.device("meta"):
        expected = torchvision.models.vgg16(weights=None).state_dict()
    assert list(name_as_torch(layers, CAFFE)) == list(expected)


def test_layers_that_do_not_fit(layers, tmp_path):
    """A missing layer, a foreign one, and wrong shapes are all named."""
    layers["conv9"] = layers.pop("conv4")
    layers["conv1"][0] = layers["conv1"][0][:, :1]
    layers["conv2"].append(np.ones(1))
    layers["fc7"][0] = layers["fc7"][0][:3]
    layers["fc8"][1] = layers["fc8"][1][None].repeat(2, axis=0)
    path = save(tmp_path / "w.caffemodel", layers)
    with pytest.raises(ValueError, match="w.caffemodel' does not fit") as error:
        convert(path, tmp_path / "out", "cnn_s")
    message = str(error.value)
    assert "2 missing (features.conv4.weight, features.conv4.bias)" in message
    assert "3 unexpected (conv9.bias, conv9.weight, features.conv2.2)" in message
    assert "conv1.weight: expected (6, 3, 7, 7), found (6, 1, 7, 7)" in message
    assert "fc7.weight: expected (10, 10), found (3, 10)" in message
    assert "fc8.bias: expected (1000,), found (2, 1000)" in message


def test_shape_is_not_forced(layers, tmp_path):
    """As many numbers in another shape are not taken for the weights."""
    layers["conv3"][0] = layers["conv3"][0].transpose(1, 0, 2, 3)
    layers["fc6"][0] = layers["fc6"][0].T
    path = save(tmp_path / "w.caffemodel", layers, "old")
    with pytest.raises(ValueError, match=r"found \(252, 10\).*found \(5, 4, 3, 3\)"):
        convert(path, tmp_path / "out", "cnn_s")


@pytest.mark.parametrize("layer", ["conv2", "fc7"])
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("value", [float("nan"), float("inf"), 1e300])
def test_numbers_that_are_not_finite(layers, tmp_path, layer, layout, value):
    """One of them is found and its layer named; so is one too large for float32."""
    if value == 1e300 and "double" not in layout:
        value = -float("inf")
    weight = layers[layer][0].astype(float)
    weight.flat[7] = value
    layers[layer][0] = weight
    path = save(tmp_path / "w.caffemodel", layers, layout)
    with pytest.raises(ValueError, match=rf"NaN or inf.*{layer}.weight"):
        convert(path, tmp_path / "out", "cnn_s")


TINY = {"conv1": [np.ones((1, 2, 1, 2)), np.ones(1)], "fc6": [np.ones((2, 2))]}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_truncated_anywhere(tmp_path, layout):
    """A file that ends early is refused, or lacks whole layers, but holds no guess."""
    content = write_net(TINY, layout)
    path = tmp_path / "w.caffemodel"
    whole = read_caffemodel(save(path, TINY, layout))
    refused = 0
    for size in range(len(content)):
        path.write_bytes(content[:size])
        with pytest.raises(ValueError, match=r"w\.caffemodel|does not fit"):
            convert(path, tmp_path / "out", "cnn_s")
        try:
            layers = read_caffemodel(path)
        except ValueError:
            refused += 1
            continue
        for name, blobs in layers.items():
            assert len(blobs) == len(whole[name])
    assert refused > 0.8 * len(content)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_flipped_bits(tmp_path, layout):
    """Whatever a bit does, the outcome is arrays or a ValueError, and quickly."""
    content = write_net(TINY, layout)
    path = tmp_path / "w.caffemodel"
    outcomes = set()
    for i in range(len(content)):
        for bit in range(8):
            damaged = bytearray(content)
            damaged[i] ^= 1 << bit
            path.write_bytes(damaged)
            try:
                layers = read_caffemodel(path)
            except ValueError as error:
                outcomes.add(str(error).split()[0])
            else:
                n_values = sum(blob.size for blobs in layers.values() for blob in blobs)
                assert n_values <= len(content) / 4
                outcomes.add("read")
    assert {"byte", "read"} <= outcomes


def test_noise(tmp_path):
    """Random bytes are no network."""
    rng = np.random.default_rng(0)
    path = tmp_path / "w.caffemodel"
    for size in range(1, 300):
        path.write_bytes(rng.bytes(size))
        with pytest.raises(
            ValueError, match=r"w\.caffemodel is not a file|does not fit"
        ):
            convert(path, tmp_path / "out", "cnn_s")


class Attack:
    """Runs code when it is unpickled."""

    def __init__(self, victim):
        self.victim = victim

    def __reduce__(self):
        return (Path.touch, (self.victim,))


def test_code_in_a_file_is_not_run(tmp_path):
    """A pickle that calls itself a .caffemodel is refused before it does anything."""
    victim, path = tmp_path / "victim", tmp_path / "w.caffemodel"
    for write in (torch.save, lambda it, path: path.write_bytes(pickle.dumps(it))):
        write({"conv1": Attack(victim)}, path)
        with pytest.raises(ValueError, match="w.caffemodel is not a file of Caffe"):
            convert(path, tmp_path / "out", "cnn_s")
        assert not victim.exists()


HUGE = varint(1 << 62)


def layer_of(blob):
    return message(100, message(1, b"conv1") + message(7, blob))


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"", "empty file"),
        (b"<!DOCTYPE html>", "byte 0: expected a field of wire type 0, 1, 2 or 5"),
        (b"\x02\x01\x00", "byte 0: expected a field number, found 0"),
        (message(1, b"name"), "expected layers with weights, found none"),
        (write_net({}, "new"), "expected layers with weights, found none"),
        (b"\x0a" + HUGE, "expected 4611686018427387904 bytes of field 1, found 0"),
        (b"\x08" + b"\xff" * 10, "byte 1: expected a number of at most 64 bits"),
        (b"\x08" + b"\xff" * 9 + b"\x02", "byte 1: expected a number of at most 64"),
        (b"\x08\xff", "byte 1: expected a number, found its beginning only"),
        (number(100, 7), "expected field 100 to be of wire type 2, found 0"),
        (
            layer_of(b"\x2a\x08" + bytes(4)) + message(1, bytes(20)),
            "byte 14: expected 8 bytes of field 5, found 4",
        ),
        (
            layer_of(b"\x08\xff") + message(1, bytes(20)),
            "byte 13: expected a number, found its beginning only",
        ),
        (layer_of(message(5, bytes(6))), "of 8 bytes, found 6 and 0 bytes"),
        (layer_of(message(8, bytes(12))), "of 8 bytes, found 0 and 12 bytes"),
        (
            layer_of(message(5, bytes(8)) + message(8, bytes(8))),
            "byte 12: expected numbers of 4 bytes, or of 8 bytes, found 8 and 8 bytes",
        ),
        (
            layer_of(message(7, message(1, b"\x03")) + message(5, bytes(8))),
            r"as many numbers as its shape \(3,\) says, found 2",
        ),
        (
            layer_of(message(7, message(1, HUGE * 4)) + message(5, bytes(8))),
            "found 2",
        ),
        (
            layer_of(message(7, message(1, b"\x00" + HUGE))),
            r"\(0, 46.*\) says, found 0",
        ),
        (layer_of(message(5, bytes(8))), r"shape \(0, 0, 0, 0\) says, found 2"),
        (
            layer_of(message(7, message(1, b"\x01" * 99)) + message(5, bytes(4))),
            "shape of at most 32 axes",
        ),
        (
            layer_of(message(7, number(1, 1) * 99) + message(5, bytes(4))),
            "shape of at most 32 axes",
        ),
        (
            write_layer("fc6", [np.ones(2)], "old")
            + write_layer("fc6", [np.ones(2)], "new"),
            "expected one layer 'fc6' with weights, found another",
        ),
    ],
)
def test_damage_is_told_with_its_position(tmp_path, content, expected):
    """Lengths and shapes are compared with the file before anything is taken."""
    path = tmp_path / "w.caffemodel"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=f"w.caffemodel is not a file.*{expected}"):
        convert(path, tmp_path / "out", "cnn_s")


def test_long_and_strange_names_are_told_in_short(tmp_path):
    """A name that is no text, or as long as the file, does not flood the message."""
    content = message(1, b"\xff\x00" * 10**6) + message(7, write_blob([1.0], "new"))
    path = tmp_path / "w.caffemodel"
    path.write_bytes(message(100, content))
    with pytest.raises(ValueError, match=r"1 unexpected \(\\xff") as error:
        convert(path, tmp_path / "out", "cnn_s")
    assert len(str(error.value)) < 2000


def test_only_the_arrays_are_held(tmp_path):
    """Nothing is allocated but what the file holds, once."""
    layers = {"fc6": [np.ones((1000, 1000), np.float32)]}
    path = save(tmp_path / "w.caffemodel", layers)
    tracemalloc.start()
    found = read_caffemodel(path)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert found["fc6"][0].nbytes == 4_000_000
    assert peak < 6_000_000


def test_a_file_of_another_name_needs_the_backbone(layers, tmp_path):
    """The name of the published file says which network it is."""
    path = save(tmp_path / "my.caffemodel", layers)
    with pytest.raises(ValueError, match="my.caffemodel: expected one of.*--backbone"):
        convert(path, tmp_path)


def test_a_damaged_file_leaves_nothing_behind(layers, tmp_path):
    """The file of an earlier conversion stays, and no unfinished one."""
    good, out = save(tmp_path / "VGG_CNN_S.caffemodel", layers), tmp_path / "out"
    before = convert(good, out).read_bytes()
    layers["fc6"][0] = layers["fc6"][0] * np.nan
    with pytest.raises(ValueError, match="NaN or inf"):
        convert(save(good, layers), out)
    assert [f.name for f in out.iterdir()] == ["cnn_s.safetensors"]
    assert (out / "cnn_s.safetensors").read_bytes() == before


def test_the_command_line_says_what_is_wrong(tmp_path):
    """A missing file is one line on standard error and exit code 1."""
    done = subprocess.run(
        [sys.executable, str(SCRIPT), str(tmp_path / "no.caffemodel"), str(tmp_path)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "no.caffemodel: expected one of" in done.stderr
    assert "Traceback" not in done.stderr
