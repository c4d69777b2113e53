"""The distant level: boxes around superpixels."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")
torchvision = pytest.importorskip("torchvision")

from sklearn_zoomout import (  # noqa: E402
    Backbone,
    ConvnetRegionFeatures,
    SuperpixelSegmenter,
)
from sklearn_zoomout.backbones import Network  # noqa: E402
from sklearn_zoomout.features.convnet._resizing import resize  # noqa: E402


def distant(name="squeezenet1_1", **options):
    """Make a level of a network with random weights, for small images."""
    options = {"input_size": 96, "crop_size": 64} | options
    return ConvnetRegionFeatures(Backbone(name, None), **options)


@pytest.mark.parametrize("pooling", ["roi", "crop"])
@pytest.mark.parametrize(
    ("name", "width"),
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
def test_backbones_describe_regions(images, narrow_fc7, name, width, pooling):
    """Every family works with both ways to describe a region."""
    superpixels = SuperpixelSegmenter(n_segments=6).fit_transform(images[:1])
    features = distant(name, pooling=pooling, radius=0)
    values = features.fit_transform(superpixels).to_numpy()
    assert values.shape == (superpixels.n_rows, width)
    assert values.dtype == np.float32
    assert np.isfinite(values).all()
    assert np.ptp(values, axis=0).max() > 0


def test_resizing_is_that_of_torchvision(images, normalized):
    """Antialiased bilinear interpolation, as ImageNet networks were trained."""
    pixels = normalized(images[0])
    expected = torchvision.transforms.functional.resize(pixels, [24, 31])
    torch.testing.assert_close(resize(pixels, (24, 31)), expected)


def test_a_crop_is_the_resized_box(superpixels, images, normalized):
    """Each box is cut out and resized without its aspect ratio, as in the paper."""
    features = distant(pooling="crop", radius=1).fit(superpixels)
    segmented, pixels = superpixels[2], normalized(images[2])
    network = features.get_network().module.features
    crops = torch.stack(
        [
            resize(pixels[:, top:bottom, left:right], (64, 64))
            for top, left, bottom, right in segmented.region_boxes(1)
        ]
    )
    with torch.inference_mode():
        expected = network(crops).mean(dim=(2, 3))
    found = features.describe(segmented)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-6)


def test_roi_pools_the_map_of_the_whole_image(superpixels, images, normalized):
    """The box of the whole image is the plain average of the map."""
    features = distant(radius=50, input_size=160).fit(superpixels)
    segmented = superpixels[0]  # 60 x 80, all within a radius of 50
    with torch.inference_mode():
        last_map = features.get_network().module.features(
            resize(normalized(images[0]), (120, 160))[None]
        )
    expected = last_map.mean(dim=(2, 3)).repeat(segmented.n_segments, 1)
    found = features.describe(segmented)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-6)


def test_fc7_of_pooled_regions(superpixels, images, narrow_fc7, normalized):
    """The cells of the pooled map go through the fully connected layers."""
    features = distant("alexnet", radius=50, input_size=160).fit(superpixels)
    network = features.get_network()
    with torch.inference_mode():
        image = resize(normalized(images[0]), (120, 160))[None]
        (last_map,) = network.maps(image, features.layers_)
        # Adaptive pooling rounds to whole cells: repeated cells make it exact.
        cells = last_map.repeat_interleave(6, dim=2).repeat_interleave(6, dim=3)
        expected = network.fc7(torch.nn.functional.adaptive_avg_pool2d(cells, 6))
    found = features.describe(superpixels[0])
    assert found.shape == (superpixels[0].n_segments, 5)
    assert found.min() >= 0
    np.testing.assert_allclose(found[3], expected[0], rtol=1e-3, atol=1e-6)
    assert features.column_names() == [f"fc7_{i:04d}" for i in range(5)]


def test_fc7_of_crops(superpixels, images, narrow_fc7, normalized):
    """A crop goes through the network as in torchvision's forward."""
    features = distant("alexnet", pooling="crop", crop_size=224).fit(superpixels)
    network = features.get_network()
    top, left, bottom, right = superpixels[1].region_boxes(3)[0]
    with torch.inference_mode():
        pixels = normalized(images[1])[:, top:bottom, left:right]
        maps = network.module.features(resize(pixels, (224, 224))[None])
        expected = network.fc7(network.module.avgpool(maps))[0]
    found = features.describe(superpixels[1])[0]
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)


def test_equal_boxes_are_described_once(superpixels, monkeypatch):
    """Within radius 20 every region of a small image is the whole image."""
    features = distant("zoomnet", radius=20, pooling="crop", crop_size=64)
    features.fit(superpixels)
    n_crops = []
    vectors = Network.vectors

    def record(network, batch, taps):
        n_crops.append(len(batch))
        return vectors(network, batch, taps)

    monkeypatch.setattr(Network, "vectors", record)
    rows = features.transform(superpixels[:1]).to_numpy()
    assert n_crops == [1]
    np.testing.assert_array_equal(rows, np.broadcast_to(rows[0], rows.shape))


@pytest.mark.parametrize(
    ("limit", "options"),
    [
        ("_REGIONS_AT_ONCE", {"name": "alexnet"}),
        ("_CROPS_AT_ONCE", {"pooling": "crop", "radius": 0, "crop_size": 32}),
    ],
)
def test_groups_of_regions_change_nothing(
    superpixels, narrow_fc7, monkeypatch, limit, options
):
    """Memory is bounded by computing few regions at once."""
    features = distant(**options).fit(superpixels[:1])
    module = "sklearn_zoomout.features.convnet._region"
    rows = []
    for size in (1000, 7):
        monkeypatch.setattr(f"{module}.{limit}", size)
        rows.append(features.describe(superpixels[0]))
    np.testing.assert_allclose(*rows, rtol=1e-3, atol=1e-5)


def test_layers_are_concatenated_and_named(superpixels):
    """The columns of maps of several depths are named after their modules."""
    features = distant(layers=("features.1", "features.12"), radius=0)
    table = features.fit_transform(superpixels)
    single = distant(layers=["features.12"], radius=0).fit_transform(superpixels)
    assert table.shape == (4, 64 + 512)
    assert table.columns[0] == "radius0__features.1_0000"
    assert table.columns[-1] == "radius0__features.12_0511"
    np.testing.assert_allclose(table.to_numpy()[:, 64:], single.to_numpy(), rtol=1e-5)


def test_the_radius_names_the_block(superpixels):
    """The paper's radius of 3 is the distant level."""
    assert distant().fit_transform(superpixels).block_names == ["distant"]
    assert distant(radius=2).fit_transform(superpixels).block_names == ["radius2"]
