"""Models of timm as backbones."""

import pickle
from types import SimpleNamespace

import numpy as np
import pytest

torch = pytest.importorskip("torch")
timm = pytest.importorskip("timm")
huggingface_hub = pytest.importorskip("huggingface_hub")
safetensors = pytest.importorskip("safetensors.torch")

from sklearn_zoomout import (  # noqa: E402
    Backbone,
    ConvnetRegionFeatures,
    ConvnetSuperpixelFeatures,
    GlobalFeatures,
)
from sklearn_zoomout.backbones import load_network  # noqa: E402
from sklearn_zoomout.backbones._names import find_backbone  # noqa: E402
from sklearn_zoomout.backbones._weights import find_weights  # noqa: E402

NAME = "timm:test_efficientnet"  # timm's own tiny model for tests


@pytest.fixture(scope="module")
def model():
    """The model as timm builds it."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        return timm.create_model("test_efficientnet").eval()


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """An empty folder of weights."""
    monkeypatch.setenv("SKLEARN_ZOOMOUT_WEIGHTS", str(tmp_path))
    return tmp_path


@pytest.fixture
def hub(monkeypatch, model):
    """What timm would download, if `online`, and whether it has `cached` it."""
    state = SimpleNamespace(online=True, cached=None)
    original = timm.create_model

    def create_model(name, pretrained=False):
        built = original(name)
        if pretrained and not state.online:
            raise OSError("no network")
        if pretrained:
            built.load_state_dict(model.state_dict())
        return built

    monkeypatch.setattr(timm, "create_model", create_model)
    monkeypatch.setattr(
        huggingface_hub, "try_to_load_from_cache", lambda *_: state.cached
    )
    return state


def batch(*shape):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(0))


def save(model, path):
    state = {key: tensor.contiguous() for key, tensor in model.state_dict().items()}
    safetensors.save_file(state, path)
    return path


def test_last_map_is_that_of_timm(model):
    """The last map has no class scores, and random weights follow the seed."""
    before = torch.random.get_rng_state()
    network = load_network(Backbone(NAME, None, random_state=3))
    taps = network.taps()
    assert torch.equal(before, torch.random.get_rng_state())
    x = batch(2, 3, 64, 101)
    with torch.inference_mode():
        expected = model.forward_features(x)
    assert expected.shape[1:] == (256, 2, 4)
    torch.testing.assert_close(network.maps(x, taps.layers)[0], expected)
    torch.testing.assert_close(network.vectors(x, taps), expected.mean(dim=(2, 3)))
    assert network.source == "random"
    other = load_network(Backbone(NAME, None, random_state=4))
    assert network.sha256 != other.sha256


@pytest.mark.parametrize(
    ("name", "strides"),
    [
        (NAME, [2, 4, 8, 16, 32]),
        ("timm:test_resnet", [2, 4, 8, 16, 32]),
        ("timm:test_convnext", [4, 8, 16, 32]),
    ],
)
def test_all_layers_are_the_maps_of_every_resolution(name, strides):
    """From the finest to the model's own last map."""
    network = load_network(Backbone(name, None))
    x = torch.zeros(1, 3, 96, 128)
    maps = network.maps(x, network.taps("all").layers)
    assert [tuple(m.shape[2:]) for m in maps] == [(96 // s, 128 // s) for s in strides]
    (last_map,) = network.maps(x, network.taps().layers)
    assert torch.equal(maps[-1], last_map)


def test_layers_are_named_as_in_timm(model):
    """Names of modules of the model itself; unknown ones get close matches."""
    x = batch(1, 3, 64, 64)
    with torch.inference_mode():
        expected = model.blocks[0](model.bn1(model.conv_stem(x)))
    network = load_network(Backbone(NAME, None, random_state=3))
    torch.testing.assert_close(network.maps(x, ["blocks.0"])[0], expected)
    with pytest.raises(ValueError, match=r"no module 'blocks.9'; similar: \['blocks"):
        network.taps(["blocks.9"])


@pytest.mark.parametrize(
    ("name", "mean"), [("resnet18", 0.485), ("tf_efficientnet_lite0", 0.5)]
)
def test_preprocessing_is_that_of_the_weights(name, mean):
    """Mean and deviation are timm's for the default weights."""
    spec = find_backbone(f"timm:{name}")
    data = timm.data.resolve_data_config(
        pretrained_cfg=timm.get_pretrained_cfg(name).to_dict()
    )
    assert (spec.mean, spec.std) == (data["mean"], data["std"])
    assert spec.mean[0] == mean


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("resnet1", "no model 'resnet1'. Did you mean .*'timm:resnet1"),
        ("resnet18.a1_in1", "Did you mean 'timm:resnet18.a1_in1k'"),
        ("", "no model ''. All names: timm.list_models"),
        ("hf_hub:someone/something", "no model 'hf_hub:someone/something'"),
    ],
)
def test_unknown_names(name, message):
    """The error lists close matches; names of other sources are refused."""
    with pytest.raises(ValueError, match=message):
        find_backbone(f"timm:{name}")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("test_vit", "images of one size only"),
        ("test_mambaout", r"not convolutional: expected maps of shape \(1, 64, h, w\)"),
        ("dla46x_c", "not take images of any size: it failed on 96x107 pixels"),
    ],
)
def test_models_without_maps_of_any_size_are_refused(name, message):
    """Transformers, channels that come last, and sizes that must be multiples."""
    with pytest.raises(ValueError, match=message):
        load_network(Backbone(f"timm:{name}", None))


@pytest.mark.parametrize(
    ("backbone", "files", "expected"),
    [
        ("resnet18", "timm_resnet18.pth timm_resnet18d.pth", "timm_resnet18.pth"),
        ("resnet18", "timm_resnet18.pth timm_resnet18_x.pth", "timm_resnet18.pth"),
        ("resnet18", "timm_resnet18.a1_in1k.pth", "timm_resnet18.a1_in1k.pth"),
        ("resnet18.a1_in1k", "timm_resnet18.pt", None),
        ("resnet18", "timm_resnet18d.pth resnet18.pth timm_vit_x.pth", None),
    ],
)
def test_file_is_chosen_by_its_name(folder, backbone, files, expected):
    """A colon becomes an underscore; a file of named weights fits the plain name."""
    for file in files.split():
        (folder / file).write_bytes(b"")
    found = find_weights(find_backbone(f"timm:{backbone}"), "default")
    assert (found and found.path.name) == expected


def test_files_of_timm_are_not_for_torchvision(folder):
    """Both have a resnet18, with other names of weights."""
    for file in ("timm_resnet18.pth", "resnet18.pth"):
        (folder / file).write_bytes(b"")
    found = find_weights(find_backbone("resnet18"), "default")
    assert found.path.name == "resnet18.pth"


def test_file_of_named_weights_brings_its_preprocessing(tmp_path):
    """The same holds for variants of torchvision's networks."""
    path = tmp_path / "timm_inception_v3.gluon_in1k.safetensors"
    path.write_bytes(b"")
    plain = find_backbone("timm:inception_v3")
    found = find_weights(plain, path)
    assert found.spec == find_backbone("timm:inception_v3.gluon_in1k")
    assert found.spec.mean != plain.mean


def test_timms_own_weights(model, folder, hub, capsys):
    """A download is announced unless it is cached; a file in the folder goes first."""
    online = load_network(Backbone(NAME))
    assert online.source == "timm"
    message = capsys.readouterr().err
    assert message.startswith(f"Downloading weights of {NAME} from https://huggingface")
    hub.cached = "somewhere"
    assert load_network(Backbone(NAME)).sha256 == online.sha256
    assert capsys.readouterr().err == ""
    hub.online = False
    path = save(model, folder / "timm_test_efficientnet.safetensors")
    offline = load_network(Backbone(NAME))
    assert offline.source == str(path)
    assert offline.sha256 == online.sha256
    x = batch(1, 3, 64, 64)
    layers = offline.taps().layers
    (last_map,) = offline.maps(x, layers)
    torch.testing.assert_close(last_map, model.forward_features(x))
    torch.testing.assert_close(last_map, online.maps(x, layers)[0])


def test_offline_without_weights_says_what_to_bring(folder, hub):
    """Random weights never take their place silently."""
    hub.online = False
    with pytest.raises(OSError, match="timm could not download") as error:
        load_network(Backbone(NAME))
    assert "'timm_test_efficientnet.safetensors'" in str(error.value)
    assert "timm.create_model('test_efficientnet', pretrained=True)" in str(error.value)


def test_model_without_pretrained_weights(folder):
    """The error is another than that of a failed download, and no network is built."""
    names = (n for n in timm.list_models() if not timm.is_model_pretrained(n))
    name = next(n for n in names if not timm.get_pretrained_cfg(n).fixed_input_size)
    with pytest.raises(FileNotFoundError, match=f"has none for backbone 'timm:{name}'"):
        load_network(Backbone(f"timm:{name}"))


def test_file_is_checked(model, tmp_path):
    """Keys must fit, and numbers must be finite."""
    path = save(model, tmp_path / "w.safetensors")
    with pytest.raises(ValueError, match="does not fit backbone 'timm:test_resnet'"):
        load_network(Backbone("timm:test_resnet", path))
    state = {key: tensor.clone() for key, tensor in model.state_dict().items()}
    state["conv_stem.weight"][0] = float("nan")
    safetensors.save_file(state, path)
    with pytest.raises(ValueError, match="NaN or inf in .*conv_stem.weight"):
        load_network(Backbone(NAME, path))


@pytest.mark.parametrize(
    ("features", "n_columns"),
    [
        (ConvnetRegionFeatures(NAME, input_size=96), 256),
        (ConvnetRegionFeatures(NAME, pooling="crop", crop_size=32), 256),
        (GlobalFeatures(NAME, crop_size=64), 256),
        (ConvnetSuperpixelFeatures(NAME, input_size=96), 16 + 24 + 32 + 48 + 256),
    ],
)
def test_estimators_take_it(superpixels, model, tmp_path, features, n_columns):
    """They take it by name; after unpickling the weights must be the same."""
    path = save(model, tmp_path / "w.safetensors")
    features.set_params(backbone__weights=path)
    table = features.fit_transform(superpixels[:1])
    assert table.n_columns == n_columns
    assert np.isfinite(table.to_numpy()).all()
    restored = pickle.loads(pickle.dumps(features))
    again = restored.transform(superpixels[:1])
    np.testing.assert_array_equal(again.to_numpy(), table.to_numpy())
    save(load_network(Backbone(NAME, None)).module, path)
    with pytest.raises(ValueError, match="expected those of fit"):
        pickle.loads(pickle.dumps(features)).transform(superpixels[:1])
