"""Distant and global features."""

import os
import pickle

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.pipeline import FeatureUnion

from sklearn_zoomout import (
    ConvnetRegionFeatures,
    ConvnetSuperpixelFeatures,
    GlobalFeatures,
    SegmentedImage,
    SuperpixelSegmenter,
)

torch = pytest.importorskip("torch")
torchvision = pytest.importorskip("torchvision")

from sklearn_zoomout.backbones import FrozenNetwork  # noqa: E402
from sklearn_zoomout.features._resizing import resize  # noqa: E402

needs_weights = pytest.mark.skipif(
    "SKLEARN_ZOOMOUT_WEIGHTS" not in os.environ, reason="no folder of weights"
)
IMAGENET = torchvision.transforms.Normalize(
    [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]
)


def normalized(image):
    return IMAGENET(torch.from_numpy(image.astype(np.float32) / 255).permute(2, 0, 1))


def stripes(channels=4):
    """A network of one convolution, for speed."""
    return torch.nn.Conv2d(3, channels, 3, stride=2)


def distant(backbone="squeezenet1_1", **options):
    options = {"weights": None, "input_size": 96, "crop_size": 64} | options
    return ConvnetRegionFeatures(backbone, **options)


@pytest.mark.parametrize("pooling", ["roi", "crop"])
@pytest.mark.parametrize(
    ("backbone", "width"),
    [
        ("squeezenet1_0", 512),
        ("mobilenet_v2", 1280),
        ("resnet18", 512),
        pytest.param("resnet50", 2048, marks=pytest.mark.slow),
        pytest.param("convnext_tiny", 768, marks=pytest.mark.slow),
        ("alexnet", 5),
        pytest.param("vgg16", 5, marks=pytest.mark.slow),
    ],
)
def test_backbones_describe_regions(images, narrow_fc7, backbone, width, pooling):
    """Every family works with both ways to see a region."""
    superpixels = SuperpixelSegmenter(n_segments=6).fit_transform(images[:1])
    features = distant(backbone, pooling=pooling, radius=0)
    values = features.fit_transform(superpixels).to_numpy()
    assert values.shape == (superpixels.n_rows, width)
    assert values.dtype == np.float32
    assert np.isfinite(values).all()
    assert np.ptp(values, axis=0).max() > 0


@pytest.mark.parametrize(
    "backbone",
    [
        "squeezenet1_0",
        "mobilenet_v2_tf2",
        "resnet18",
        pytest.param("vgg16", marks=pytest.mark.slow),
    ],
)
def test_backbones_describe_images(superpixels, narrow_fc7, backbone):
    """The global level has one row per image, shared by its superpixels."""
    features = GlobalFeatures(backbone, None, input_size=64)
    table = features.fit_transform(superpixels)
    values = table.to_numpy()
    starts = np.repeat(superpixels.row_offsets[:-1], np.diff(superpixels.row_offsets))
    assert table.blocks[0].values.shape == (4, features.n_features_out_)
    np.testing.assert_array_equal(values, values[starts])
    assert np.ptp(values[superpixels.row_offsets[:-1]], axis=0).max() > 0


def test_global_is_the_network_of_the_resized_image(superpixels, images):
    """The whole image as a square, last map averaged."""
    features = GlobalFeatures("squeezenet1_1", None, input_size=64).fit(superpixels)
    network = features.get_network().module.features
    with torch.inference_mode():
        expected = torch.cat(
            [
                network(resize(normalized(image), (64, 64))[None]).mean(dim=(2, 3))
                for image in images
            ]
        )
    found = features.transform(superpixels).blocks[0].values
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(features.describe(superpixels[1]), found[1], rtol=1e-4)


def test_resizing_is_that_of_torchvision(images):
    """Antialiased bilinear interpolation, as ImageNet networks were trained."""
    pixels = normalized(images[0])
    expected = torchvision.transforms.functional.resize(pixels, [24, 31])
    torch.testing.assert_close(resize(pixels, (24, 31)), expected)


def test_crop_is_the_network_of_the_resized_box(superpixels, images):
    """The paper's way: each box cut out, resized without its aspect ratio."""
    features = distant(pooling="crop", batch_size=7, radius=1).fit(superpixels)
    segmented = superpixels[2]
    network = features.get_network().module.features
    with torch.inference_mode():
        expected = torch.cat(
            [
                network(
                    resize(normalized(images[2][top:bottom, left:right]), (64, 64))[
                        None
                    ]
                ).mean(dim=(2, 3))
                for top, left, bottom, right in segmented.region_boxes(1)
            ]
        )
    found = features.describe(segmented)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-6)


def test_roi_pools_the_map_of_the_whole_image(superpixels, images):
    """A box aligned with the map's cells is their plain average."""
    features = distant(radius=50, input_size=160).fit(superpixels)
    segmented = superpixels[0]  # 60 x 80, and radius 50 reaches everything
    with torch.inference_mode():
        last_map = features.get_network().module.features(
            resize(normalized(images[0]), (120, 160))[None]
        )
    expected = last_map.mean(dim=(2, 3)).repeat(segmented.n_segments, 1)
    found = features.describe(segmented)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-6)


def test_fc7_of_pooled_regions(superpixels, images, narrow_fc7):
    """A region that is the whole image goes through the hidden layers once pooled."""
    features = distant("alexnet", radius=50, input_size=160).fit(superpixels)
    network = features.get_network()
    with torch.inference_mode():
        (last_map,) = network.maps(resize(normalized(images[0]), (120, 160))[None])
        # Adaptive pooling rounds to whole cells: repeated cells make it exact.
        cells = last_map.repeat_interleave(6, dim=2).repeat_interleave(6, dim=3)
        cells = torch.nn.functional.adaptive_avg_pool2d(cells, 6)
        expected = network.head(cells)
    found = features.describe(superpixels[0])
    assert found.shape == (superpixels[0].n_segments, 5)
    assert found.min() >= 0
    np.testing.assert_allclose(found[3], expected[0], rtol=1e-3, atol=1e-6)
    assert features.column_names() == [f"fc7_{i:04d}" for i in range(5)]


def test_fc7_of_crops(superpixels, images, narrow_fc7):
    """A crop goes through the classifier as torchvision's forward does."""
    features = distant("alexnet", pooling="crop", crop_size=224).fit(superpixels)
    network = features.get_network()
    top, left, bottom, right = superpixels[1].region_boxes(3)[0]
    with torch.inference_mode():
        crop = resize(normalized(images[1][top:bottom, left:right]), (224, 224))
        maps = network.module.avgpool(network.module.features(crop[None]))
        expected = network.head(maps)[0]
    boxes = superpixels[1].region_boxes(3)[:1]
    found = features._crop(superpixels[1], boxes, network)
    torch.testing.assert_close(found[0], expected)


def test_equal_boxes_go_through_the_network_once(superpixels, monkeypatch):
    """Within radius 20 every region of a small image is the whole image."""
    features = distant("zoomnet", radius=20, pooling="crop", crop_size=64)
    features.fit(superpixels)
    n_crops = []
    vectors = FrozenNetwork.vectors
    monkeypatch.setattr(
        FrozenNetwork,
        "vectors",
        lambda self, x: n_crops.append(len(x)) or vectors(self, x),
    )
    rows = features.transform(superpixels[:1]).to_numpy()
    assert n_crops == [1]
    np.testing.assert_array_equal(rows, np.broadcast_to(rows[0], rows.shape))


def test_groups_of_regions_change_nothing(superpixels, narrow_fc7, monkeypatch):
    """Pooled regions go through the hidden layers in groups."""
    features = distant("alexnet").fit(superpixels)
    together = features.describe(superpixels[0])
    monkeypatch.setattr("sklearn_zoomout.features.convnet._REGIONS_AT_ONCE", 7)
    in_groups = features.describe(superpixels[0])
    np.testing.assert_allclose(in_groups, together, rtol=1e-3, atol=1e-5)


def test_batch_size_changes_nothing(superpixels):
    """Crops and images may come one at a time or together."""
    for features in (
        distant(pooling="crop", crop_size=32),
        GlobalFeatures("squeezenet1_1", None, input_size=64),
    ):
        one = clone(features).set_params(batch_size=1).fit_transform(superpixels[:2])
        many = clone(features).set_params(batch_size=99).fit_transform(superpixels[:2])
        np.testing.assert_allclose(
            one.to_numpy(), many.to_numpy(), rtol=1e-3, atol=1e-5
        )


def test_layers_are_concatenated_and_named(superpixels):
    """Maps of several depths, with columns named after their modules."""
    features = distant(layers=("features.1", "features.12"), radius=0)
    table = features.fit_transform(superpixels)
    single = distant(layers=["features.12"], radius=0).fit_transform(superpixels)
    assert table.shape == (4, 64 + 512)
    assert table.columns[0] == "radius0__features.1_0000"
    assert table.columns[-1] == "radius0__features.12_0511"
    np.testing.assert_allclose(table.to_numpy()[:, 64:], single.to_numpy(), rtol=1e-5)


def test_radius_names_the_block(superpixels):
    """The paper's radius of 3 is the distant level."""
    assert distant(stripes).fit_transform(superpixels).block_names == ["distant"]
    other = distant(stripes, radius=2).fit_transform(superpixels)
    assert other.block_names == ["radius2"]


@pytest.mark.parametrize("shape", [(1, 1), (1, 40), (40, 1), (3, 200)])
@pytest.mark.parametrize("pooling", ["roi", "crop"])
def test_images_of_few_pixels(shape, pooling):
    """Tiny and very long images give finite values."""
    image = np.random.default_rng(0).integers(0, 255, (*shape, 3)).astype(np.uint8)
    superpixels = SuperpixelSegmenter(n_segments=1).fit_transform([image])
    assert np.isfinite(
        distant(pooling=pooling).fit_transform(superpixels).to_numpy()
    ).all()
    assert np.isfinite(
        GlobalFeatures("squeezenet1_1", None).fit_transform(superpixels).to_numpy()
    ).all()


def test_uint8_and_float_images_give_the_same(images):
    """x and x / 255 are the same image."""
    floats = [image / 255 for image in images[:2]]
    segmenter = SuperpixelSegmenter(n_segments=10)
    first = distant().fit_transform(segmenter.fit_transform(images[:2])).to_numpy()
    second = distant().fit_transform(segmenter.fit_transform(floats)).to_numpy()
    np.testing.assert_array_equal(first, second)


def test_images_that_cannot_be_written_to(superpixels):
    """As processes of joblib get them; torch would warn."""
    first = superpixels[0]
    image = (first.image / 255).astype(np.float32)
    image.flags.writeable = False
    rows = [
        distant().fit(superpixels).describe(SegmentedImage(each, first.segments))
        for each in (image, image.copy())
    ]
    np.testing.assert_array_equal(*rows)


def test_network_is_neither_pickled_nor_cloned(superpixels):
    """Pickles stay small; the network is loaded again, and gives the same."""
    features = distant("squeezenet1_1", random_state=7).fit(superpixels)
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
    """Integers repeat, None draws anew but survives pickling."""
    first, again, other = (
        distant(stripes, random_state=seed).fit(superpixels) for seed in (0, 0, 1)
    )
    assert first.weights_sha256_ == again.weights_sha256_ != other.weights_sha256_
    drawn = distant("squeezenet1_1", random_state=None).fit(superpixels)
    assert drawn.weights_ == "random"
    loaded = pickle.loads(pickle.dumps(drawn))
    np.testing.assert_array_equal(
        loaded.describe(superpixels[0]), drawn.describe(superpixels[0])
    )


def test_other_weights_after_unpickling_are_refused(superpixels, tmp_path):
    """The file that fit used must still be there, unchanged."""
    path = tmp_path / "weights.pth"
    torch.save(stripes().state_dict(), path)
    pickled = pickle.dumps(distant(stripes, weights=path).fit(superpixels))
    torch.save(stripes().state_dict(), path)
    with pytest.raises(ValueError, match="expected those of fit .*weights.pth.*found"):
        pickle.loads(pickled).transform(superpixels)


def test_device_may_change_after_fit(superpixels):
    """The network moves when the parameter does, and never silently stays."""
    features = distant(stripes).fit(superpixels)
    features.set_params(device="cuda:99")
    with pytest.raises(ValueError, match="device='cuda:99' cannot be used here"):
        features.transform(superpixels)


@pytest.mark.parametrize("features", [distant(), GlobalFeatures(weights=None)])
def test_transform_before_fit(superpixels, features):
    """Using an unfitted estimator is scikit-learn's error."""
    with pytest.raises(NotFittedError):
        features.transform(superpixels)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"backbone": "resnet1"}, "Did you mean 'resnet1"),
        ({"backbone": 3}, "'backbone' parameter"),
        ({"backbone": torch.nn.Identity()}, "got the network itself"),
        ({"weights": 0}, "'weights' parameter"),
        ({"weights": "nowhere.pth"}, "no file 'nowhere.pth'"),
        ({"radius": -1}, "'radius' parameter"),
        ({"radius": True}, "'radius' parameter"),
        ({"pooling": "max"}, "'pooling' parameter"),
        ({"layers": "features.1"}, "'layers' parameter"),
        ({"layers": ("features.99",)}, "no module 'features.99'"),
        ({"input_size": 0}, "'input_size' parameter"),
        ({"flip": 1.5}, "'flip' parameter"),
        ({"dtype": "float64"}, "'dtype' parameter"),
        ({"dtype": np.float32}, "'dtype' parameter"),
        ({"crop_size": 2.5}, "'crop_size' parameter"),
        ({"batch_size": 0}, "'batch_size' parameter"),
        ({"device": "cuda:99"}, "device='cuda:99' cannot be used here"),
        ({"random_state": "a"}, "'random_state' parameter"),
    ],
)
def test_wrong_parameters(superpixels, parameters, message):
    """Each is refused by fit, before any image is described."""
    with pytest.raises((ValueError, TypeError, FileNotFoundError), match=message):
        distant().set_params(**parameters).fit(superpixels)


def test_input_that_is_too_small_is_explained(superpixels):
    """The network's own failure names the size."""
    with pytest.raises(RuntimeError, match="failed on an input of 5x5 pixels"):
        distant(input_size=5).fit(superpixels).transform(superpixels)


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
@pytest.mark.parametrize(
    "level",
    [
        ConvnetRegionFeatures("squeezenet1_1", None, input_size=96),
        ConvnetRegionFeatures("squeezenet1_1", None, pooling="crop", crop_size=64),
        ConvnetRegionFeatures("alexnet", None, input_size=96),
        ConvnetRegionFeatures("cnn_s", None, input_size=96, layers=["features"]),
        GlobalFeatures("alexnet", None, input_size=96),
        ConvnetSuperpixelFeatures("zoomnet", input_size=96),
    ],
)
def test_short_numbers_give_nearly_the_same_features(
    superpixels, narrow_fc7, level, dtype
):
    """One or two digits agree; features are float32 all the same."""
    exact = clone(level).fit_transform(superpixels[:1]).to_numpy()
    level = clone(level).set_params(dtype=dtype)
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
        distant(loud, dtype="float16").fit_transform(superpixels)
    distant(loud, dtype="bfloat16").fit_transform(superpixels)


def test_weights_too_large_for_float16_are_refused(superpixels):
    """They would be infinite, and what is divided by them zero."""

    def broad():
        norm = torch.nn.BatchNorm2d(4)
        torch.nn.init.constant_(norm.running_var, 1e5)
        return torch.nn.Sequential(stripes(), norm)

    with pytest.raises(FloatingPointError, match="use dtype='bfloat16'"):
        distant(broad, dtype="float16").fit(superpixels)


@pytest.mark.parametrize("change", [{"dtype": "bfloat16"}, {"flip": True}])
def test_parameters_changed_after_fit_are_honored(superpixels, change, tmp_path):
    """Also in the cache: what is kept under a parameter was computed with it."""
    level = distant(memory=tmp_path).fit(superpixels)
    level.set_params(**change)
    changed = level.transform(superpixels).to_numpy()
    fresh = distant(**change).fit_transform(superpixels).to_numpy()
    np.testing.assert_allclose(changed, fresh, rtol=1e-4, atol=1e-5)
    kept = distant(memory=tmp_path, **change).fit_transform(superpixels).to_numpy()
    np.testing.assert_array_equal(kept, changed)


def test_levels_stack_in_a_union(superpixels):
    """Distant and global features side by side, names with their levels."""
    union = FeatureUnion(
        [
            ("distant", distant(stripes)),
            ("global", GlobalFeatures(stripes, input_size=32)),
        ]
    )
    table = union.fit_transform(superpixels)
    assert table.shape == (4, 8)
    assert table.columns[3:5] == ["distant__map_0003", "global__map_0000"]
    assert union.set_params(distant="drop").fit_transform(superpixels).shape == (4, 4)


def test_torch_generator_and_threads_are_left_alone(superpixels):
    """No global state of torch changes."""
    before = torch.random.get_rng_state()
    threads, gradients = torch.get_num_threads(), torch.is_grad_enabled()
    distant().fit_transform(superpixels[:1])
    assert torch.equal(before, torch.random.get_rng_state())
    assert torch.get_num_threads() == threads
    assert torch.is_grad_enabled() == gradients


@needs_weights
@pytest.mark.parametrize("backbone", ["squeezenet1_0", "mobilenet_v2_tf2"])
def test_pretrained_regions(superpixels, backbone):
    """Real weights are found by name; their file and digest are kept."""
    features = ConvnetRegionFeatures(backbone, input_size=160).fit(superpixels)
    folder = os.environ["SKLEARN_ZOOMOUT_WEIGHTS"]
    assert features.weights_.startswith(os.path.join(folder, backbone))
    assert len(features.weights_sha256_) == 64
    values = features.transform(superpixels).to_numpy()
    assert np.isfinite(values).all()
    assert values.std(axis=0).max() > 0
