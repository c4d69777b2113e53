"""Maps of a convnet pooled over superpixels."""

import numpy as np
import pytest
from sklearn.base import clone

torch = pytest.importorskip("torch")

from sklearn_zoomout import (  # noqa: E402
    ConvnetRegionFeatures,
    ConvnetSuperpixelFeatures,
    GlobalFeatures,
    SegmentedImage,
)
from sklearn_zoomout.features._resizing import resize_longer_side  # noqa: E402
from sklearn_zoomout.features.pooling import sum_over_segments  # noqa: E402


def plain_average(one_map, segmented, radius=0):
    """Enlarge a map (C, h, w) to the pixels, and average it over every region."""
    pixels = torch.nn.functional.interpolate(
        one_map[None], segmented.shape, mode="bilinear", antialias=True
    )[0].numpy()
    near = segmented.neighborhood(radius).toarray() > 0
    return np.stack(
        [
            pixels[:, np.isin(segmented.segments, np.flatnonzero(n))].mean(1)
            for n in near
        ]
    )


@pytest.mark.parametrize("channels", [3, 40])
@pytest.mark.parametrize("shape", [(1, 1), (2, 3), (7, 5), (20, 30), (60, 80)])
def test_sums_are_those_of_the_enlarged_map(superpixels, shape, channels):
    """Either order of the products equals interpolating and summing the pixels."""
    segmented = superpixels[0]
    one_map = torch.randn(channels, *shape, generator=torch.Generator().manual_seed(0))
    sums = sum_over_segments(one_map.numpy(), segmented.segments, segmented.n_segments)
    expected = plain_average(one_map, segmented) * segmented.areas[:, None]
    np.testing.assert_allclose(sums, expected, rtol=1e-5, atol=1e-3)


@pytest.mark.parametrize("radius", [0, 2])
def test_columns_are_averages_of_every_map(superpixels, radius):
    """Also of maps that are finer than the image, and over neighborhoods."""
    features = ConvnetSuperpixelFeatures(radius=radius, input_size=160)
    values = features.fit_transform(superpixels[:1]).to_numpy()
    segmented, network = superpixels[0], features.get_network()
    pixels = network.prepare(segmented.rgb)
    maps = network.maps(resize_longer_side(pixels, 160)[None])
    expected = np.hstack([plain_average(m[0], segmented, radius) for m in maps])
    np.testing.assert_allclose(values, expected, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize(
    ("backbone", "n_columns"),
    [("zoomnet", 328), ("vgg16", 4224), ("squeezenet1_0", 1376), ("resnet18", 1024)],
)
def test_all_layers_of_a_backbone(superpixels, narrow_fc7, backbone, n_columns):
    """4,224 values for VGG-16, as in the later paper; each column has its name."""
    weights = "default" if backbone == "zoomnet" else None
    features = ConvnetSuperpixelFeatures(backbone, weights, input_size=96)
    table = features.fit_transform(superpixels[:1])
    assert table.n_columns == n_columns
    assert len(set(table.columns)) == n_columns
    assert np.isfinite(table.to_numpy()).all()


@pytest.mark.parametrize(
    "level",
    [
        ConvnetSuperpixelFeatures(input_size=160),
        ConvnetRegionFeatures(input_size=160),
        ConvnetRegionFeatures(pooling="crop", crop_size=64),
        GlobalFeatures(input_size=96),
    ],
)
def test_flip_makes_mirror_images_alike(superpixels, level):
    """A mirrored image has the same features with flip, and others without."""
    item = superpixels[0]
    mirrored = SegmentedImage(item.rgb[:, ::-1], item.segments[:, ::-1])
    level = clone(level).fit(superpixels[:1])
    assert np.abs(level.describe(item) - level.describe(mirrored)).max() > 0.1
    level.set_params(flip=True).fit(superpixels[:1])
    np.testing.assert_allclose(
        level.describe(item), level.describe(mirrored), rtol=1e-3, atol=1e-3
    )


def test_a_constant_map_stays_constant():
    """Wherever a region lies, its average of a constant is that constant."""
    rng = np.random.default_rng(0)
    segmented = SegmentedImage(np.zeros((9, 13, 3)), rng.integers(0, 5, (9, 13)))
    ones = np.ones((1, 4, 6), dtype=np.float32)
    sums = sum_over_segments(ones, segmented.segments, segmented.n_segments)
    np.testing.assert_allclose(sums[:, 0], segmented.areas, rtol=1e-6)


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
def test_wrong_parameters(superpixels, parameters, message):
    """Each is refused by fit."""
    features = ConvnetSuperpixelFeatures(input_size=96).set_params(**parameters)
    with pytest.raises(ValueError, match=message):
        features.fit(superpixels)
