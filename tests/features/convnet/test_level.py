"""What all convnet levels share: their backbone, pickles and parameters."""

import os
import pickle

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.pipeline import FeatureUnion

torch = pytest.importorskip("torch")
pytest.importorskip("torchvision")

from sklearn_zoomout import (  # noqa: E402
    Backbone,
    ConvnetRegionFeatures,
    ConvnetSuperpixelFeatures,
    GlobalFeatures,
    SegmentedImage,
    SuperpixelSegmenter,
    ZoomoutUnion,
)
from sklearn_zoomout.backbones import _loading, load_network  # noqa: E402

RANDOM = Backbone("squeezenet1_1", None)


def stripes():
    """A network of one convolution, for speed."""
    return torch.nn.Conv2d(3, 4, 3, stride=2)


def distant(backbone=RANDOM, **options):
    """Make a level for small images."""
    options = {"input_size": 96, "crop_size": 64} | options
    return ConvnetRegionFeatures(backbone, **options)


EVERY_LEVEL = {
    "roi": ConvnetRegionFeatures(input_size=160),
    "crop": ConvnetRegionFeatures(pooling="crop", crop_size=64),
    "global": GlobalFeatures(crop_size=96),
    "maps": ConvnetSuperpixelFeatures(input_size=160),
}
every_level = pytest.mark.parametrize("level", EVERY_LEVEL.values(), ids=EVERY_LEVEL)


@every_level
def test_a_name_is_short_for_a_backbone(superpixels, level):
    """A string, a callable and a Backbone describe a network alike."""
    name, backbone = (
        clone(level).set_params(backbone=given).fit_transform(superpixels).to_numpy()
        for given in ("zoomnet", Backbone("zoomnet"))
    )
    default = clone(level).fit_transform(superpixels).to_numpy()
    np.testing.assert_array_equal(name, backbone)
    np.testing.assert_array_equal(default, backbone)


@pytest.mark.parametrize("kind", [FeatureUnion, ZoomoutUnion])
def test_one_loaded_network_serves_levels_with_different_layers(
    superpixels, monkeypatch, kind
):
    """The layers belong to the level, not to the network."""
    loaded = []

    def record(backbone, fine_tuned=None):
        loaded.append(backbone)
        return load_network(backbone, fine_tuned)

    monkeypatch.setattr(_loading, "load_network", record)
    levels = [
        ("distant", ConvnetRegionFeatures(input_size=96)),
        ("fine", ConvnetRegionFeatures(input_size=96, layers=("blocks.5",))),
        ("global", GlobalFeatures(crop_size=96)),
        ("maps", ConvnetSuperpixelFeatures(input_size=96)),
    ]
    union = kind(levels)
    table = union.fit_transform(superpixels)
    union.transform(superpixels)
    assert table.n_columns == 256 + 32 + 256 + 328
    assert len(loaded) == 1


@every_level
def test_flip_makes_mirror_images_alike(superpixels, level):
    """A mirrored image has the same features with flip, and others without."""
    item = superpixels[0]
    mirrored = SegmentedImage(item.rgb[:, ::-1], item.segments[:, ::-1])
    level = clone(level).fit(superpixels[:1])
    assert np.abs(level.describe(item) - level.describe(mirrored)).max() > 0.1
    level.set_params(backbone__flip=True).fit(superpixels[:1])
    np.testing.assert_allclose(
        level.describe(item), level.describe(mirrored), rtol=1e-3, atol=1e-3
    )


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
@pytest.mark.parametrize(
    "level",
    [
        ConvnetRegionFeatures(RANDOM, input_size=96),
        ConvnetRegionFeatures(RANDOM, pooling="crop", crop_size=64),
        ConvnetRegionFeatures(Backbone("alexnet", None), input_size=96),
        ConvnetRegionFeatures(
            Backbone("cnn_s", None), input_size=96, layers=["features"]
        ),
        GlobalFeatures(Backbone("alexnet", None), crop_size=96),
        ConvnetSuperpixelFeatures("zoomnet", input_size=96),
    ],
)
def test_short_numbers_change_features_little(superpixels, narrow_fc7, level, dtype):
    """One or two digits agree; features are float32 in any case."""
    exact = clone(level).fit_transform(superpixels[:1]).to_numpy()
    level = clone(level).set_params(backbone__dtype=dtype)
    short = level.fit_transform(superpixels[:1]).to_numpy()
    assert short.dtype == np.float32
    assert not np.array_equal(short, exact)
    error = np.sqrt(np.mean((short - exact) ** 2) / np.mean(exact**2))
    assert error < {"bfloat16": 0.2, "float16": 5e-3}[dtype]


def test_numbers_too_large_for_float16_are_refused(superpixels):
    """Infinities do not reach the classifier; the error says what to use instead."""

    def loud():
        network = stripes()
        torch.nn.init.constant_(network.weight, 1e6)
        return network

    with pytest.raises(FloatingPointError, match="use dtype='bfloat16'"):
        distant(Backbone(loud, dtype="float16")).fit_transform(superpixels)
    distant(Backbone(loud, dtype="bfloat16")).fit_transform(superpixels)


def test_weights_too_large_for_float16_are_refused(superpixels):
    """They would be infinite, and what is divided by them zero."""

    def broad():
        norm = torch.nn.BatchNorm2d(4)
        torch.nn.init.constant_(norm.running_var, 1e5)
        return torch.nn.Sequential(stripes(), norm)

    with pytest.raises(FloatingPointError, match="use dtype='bfloat16'"):
        distant(Backbone(broad, dtype="float16")).fit(superpixels)


@pytest.mark.parametrize("shape", [(1, 1), (1, 40), (40, 1), (3, 200)])
@every_level
def test_images_of_few_pixels(shape, level):
    """Tiny and very long images have finite features."""
    image = np.random.default_rng(0).integers(0, 255, (*shape, 3)).astype(np.uint8)
    superpixels = SuperpixelSegmenter(n_segments=1).fit_transform([image])
    assert np.isfinite(clone(level).fit_transform(superpixels).to_numpy()).all()


def test_uint8_and_float_images_have_equal_features(images):
    """An image x and the image x / 255 are the same image."""
    floats = [image / 255 for image in images[:2]]
    segmenter = SuperpixelSegmenter(n_segments=10)
    first = distant().fit_transform(segmenter.fit_transform(images[:2])).to_numpy()
    second = distant().fit_transform(segmenter.fit_transform(floats)).to_numpy()
    np.testing.assert_array_equal(first, second)


def test_read_only_images(superpixels):
    """Processes of joblib get such arrays, of which torch would warn."""
    first = superpixels[0]
    image = (first.image / 255).astype(np.float32)
    image.flags.writeable = False
    rows = [
        distant().fit(superpixels).describe(SegmentedImage(each, first.segments))
        for each in (image, image.copy())
    ]
    np.testing.assert_array_equal(*rows)


def test_the_network_is_neither_pickled_nor_cloned(superpixels):
    """Pickles stay small; the network is loaded again and computes the same."""
    features = distant(RANDOM.replace(random_state=7)).fit(superpixels)
    pickled = pickle.dumps(features)
    loaded = pickle.loads(pickled)
    assert len(pickled) < 20_000
    assert "_loaded" not in vars(loaded)
    assert "_loaded" not in vars(clone(features))
    np.testing.assert_array_equal(
        loaded.transform(superpixels).to_numpy(),
        features.transform(superpixels).to_numpy(),
    )


def test_random_state_chooses_the_random_network(superpixels):
    """Equal seeds draw equal weights."""
    first, again, other = (
        distant(RANDOM.replace(random_state=seed)).fit(superpixels)
        for seed in (0, 0, 1)
    )
    assert first.weights_ == "random"
    assert first.weights_sha256_ == again.weights_sha256_ != other.weights_sha256_


def test_other_weights_after_unpickling_are_refused(superpixels, tmp_path):
    """The file that fit used must be there, unchanged."""
    path = tmp_path / "weights.pth"
    torch.save(stripes().state_dict(), path)
    pickled = pickle.dumps(distant(Backbone(stripes, path)).fit(superpixels))
    torch.save(stripes().state_dict(), path)
    with pytest.raises(ValueError, match="expected those of fit .*weights.pth.*found"):
        pickle.loads(pickled).transform(superpixels)


def test_another_network_after_fit_is_refused(superpixels):
    """Its features would have the names of others."""
    level = ConvnetSuperpixelFeatures(input_size=96).fit(superpixels)
    level.set_params(backbone__weights=None)
    with pytest.raises(ValueError, match="expected those of fit .*; .*fit again"):
        level.transform(superpixels)


def test_the_device_may_change_after_fit(superpixels):
    """The network moves, and never silently stays."""
    features = distant().fit(superpixels)
    features.set_params(backbone__device="cuda:99")
    with pytest.raises(ValueError, match="device='cuda:99' cannot be used here"):
        features.transform(superpixels)


@pytest.mark.parametrize("change", [{"dtype": "bfloat16"}, {"flip": True}])
def test_parameters_changed_after_fit_are_honored(superpixels, change, tmp_path):
    """The cache does not mix up rows that were computed with other parameters."""
    changed = RANDOM.replace(**change)
    level = distant(memory=tmp_path).fit(superpixels).set_params(backbone=changed)
    rows = level.transform(superpixels).to_numpy()
    fresh = distant(changed).fit_transform(superpixels).to_numpy()
    np.testing.assert_allclose(rows, fresh, rtol=1e-4, atol=1e-5)
    kept = distant(changed, memory=tmp_path).fit_transform(superpixels).to_numpy()
    np.testing.assert_array_equal(kept, rows)


@every_level
def test_transform_before_fit(superpixels, level):
    """It is scikit-learn's error."""
    with pytest.raises(NotFittedError):
        clone(level).transform(superpixels)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"backbone": "resnet1"}, "Did you mean 'resnet1"),
        ({"backbone": 3}, "'backbone' parameter"),
        ({"backbone": torch.nn.Identity()}, "got the network itself"),
        ({"backbone": Backbone(weights="nowhere.pth")}, "no file 'nowhere.pth'"),
        ({"backbone": Backbone(device="cuda:99")}, "'cuda:99' cannot be used here"),
        ({"radius": -1}, "'radius' parameter"),
        ({"radius": True}, "'radius' parameter"),
        ({"pooling": "max"}, "'pooling' parameter"),
        ({"layers": "features.1"}, "'layers' parameter"),
        ({"layers": ("features.99",)}, "no module 'features.99'"),
        ({"input_size": 0}, "'input_size' parameter"),
        ({"crop_size": 2.5}, "'crop_size' parameter"),
    ],
)
def test_wrong_parameters_of_the_distant_level(superpixels, parameters, message):
    """Each is refused by fit, before any image is described."""
    with pytest.raises((ValueError, TypeError, FileNotFoundError), match=message):
        distant().set_params(**parameters).fit(superpixels)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"layers": None}, "'layers' parameter"),
        ({"layers": "blocks.3"}, "'layers' parameter"),
        ({"layers": ("blocks.99",)}, "no module 'blocks.99'"),
        ({"radius": -1}, "'radius' parameter"),
        ({"input_size": 0}, "'input_size' parameter"),
        ({"backbone": "zoomnets"}, "Did you mean 'zoomnet'"),
    ],
)
def test_wrong_parameters_of_the_maps_level(superpixels, parameters, message):
    """Each is refused by fit."""
    features = ConvnetSuperpixelFeatures(input_size=96).set_params(**parameters)
    with pytest.raises(ValueError, match=message):
        features.fit(superpixels)


def test_an_input_that_is_too_small_is_explained(superpixels):
    """The network's own failure names the size."""
    with pytest.raises(RuntimeError, match="failed on an input of 5x5 pixels"):
        distant(input_size=5).fit(superpixels).transform(superpixels)


def test_torch_generator_and_threads_are_left_alone(superpixels):
    """No global state of torch changes."""
    before = torch.random.get_rng_state()
    threads, gradients = torch.get_num_threads(), torch.is_grad_enabled()
    distant().fit_transform(superpixels[:1])
    assert torch.equal(before, torch.random.get_rng_state())
    assert torch.get_num_threads() == threads
    assert torch.is_grad_enabled() == gradients


@pytest.mark.skipif(
    "SKLEARN_ZOOMOUT_WEIGHTS" not in os.environ, reason="no folder of weights"
)
@pytest.mark.parametrize("backbone", ["squeezenet1_0", "mobilenet_v2_tf2"])
def test_pretrained_regions(superpixels, backbone):
    """Weights are found by name; their file and digest are kept."""
    features = ConvnetRegionFeatures(backbone, input_size=160).fit(superpixels)
    folder = os.environ["SKLEARN_ZOOMOUT_WEIGHTS"]
    assert features.weights_.startswith(os.path.join(folder, backbone))
    assert len(features.weights_sha256_) == 64
    values = features.transform(superpixels).to_numpy()
    assert np.isfinite(values).all()
    assert values.std(axis=0).max() > 0
