"""The maps level: feature maps averaged over superpixels."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from sklearn_zoomout import (  # noqa: E402
    Backbone,
    ConvnetSuperpixelFeatures,
    SegmentedImage,
)
from sklearn_zoomout.features.convnet._pooling import SegmentSums  # noqa: E402
from sklearn_zoomout.features.convnet._resizing import (  # noqa: E402
    resize_longer_side,
)


def plain_average(one_map, segmented, radius=0):
    """Interpolate a map (C, h, w) to the pixels, and average it over every region."""
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
def test_sums_are_those_of_the_interpolated_map(superpixels, shape, channels):
    """They equal sums over the pixels, for few and for many channels."""
    segmented = superpixels[0]
    one_map = torch.randn(channels, *shape, generator=torch.Generator().manual_seed(0))
    over = SegmentSums(segmented.segments, segmented.n_segments)
    sums = over.of(one_map.numpy())
    expected = plain_average(one_map, segmented) * segmented.areas[:, None]
    np.testing.assert_allclose(sums, expected, rtol=1e-5, atol=1e-3)


def test_sums_equal_a_count_of_every_pixel():
    """Segments may be scattered pixels, and two maps of a shape share their weights."""
    rng = np.random.default_rng(0)
    segments = rng.integers(0, 300, (45, 61)).astype(np.int32)
    over = SegmentSums(segments, 300)
    for _ in range(2):
        one_map = torch.from_numpy(rng.standard_normal((2, 29, 40)).astype(np.float32))
        pixels = torch.nn.functional.interpolate(
            one_map[None], segments.shape, mode="bilinear", align_corners=False
        )
        expected = [
            np.bincount(segments.ravel(), channel.ravel(), 300)
            for channel in pixels[0].numpy()
        ]
        np.testing.assert_allclose(
            over.of(one_map.numpy()), np.transpose(expected), rtol=1e-5, atol=1e-5
        )


def test_a_constant_map_stays_constant():
    """The average of a constant is that constant, wherever the region is."""
    rng = np.random.default_rng(0)
    segmented = SegmentedImage(np.zeros((9, 13, 3)), rng.integers(0, 5, (9, 13)))
    ones = np.ones((1, 4, 6), dtype=np.float32)
    sums = SegmentSums(segmented.segments, segmented.n_segments).of(ones)
    np.testing.assert_allclose(sums[:, 0], segmented.areas, rtol=1e-6)


@pytest.mark.parametrize("radius", [0, 2])
def test_columns_are_averages_of_every_map(superpixels, radius):
    """Some maps are finer than the image; regions may be neighborhoods."""
    features = ConvnetSuperpixelFeatures(radius=radius, input_size=160)
    table = features.fit_transform(superpixels[:1])
    assert table.block_names == ["maps2" if radius else "maps"]
    segmented, network = superpixels[0], features.get_network()
    pixels = network.prepare(segmented.rgb)
    maps = network.maps(resize_longer_side(pixels, 160)[None], features.layers_)
    expected = np.hstack([plain_average(m[0], segmented, radius) for m in maps])
    np.testing.assert_allclose(table.to_numpy(), expected, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize(
    ("backbone", "n_columns"),
    [
        (Backbone(), 328),
        (Backbone("vgg16", None), 4224),
        (Backbone("squeezenet1_0", None), 1376),
        (Backbone("resnet18", None), 1024),
    ],
)
def test_all_layers_of_a_backbone(superpixels, narrow_fc7, backbone, n_columns):
    """VGG-16 has 4,224 columns, as in the CVPR paper; every column has a name."""
    features = ConvnetSuperpixelFeatures(backbone, input_size=96)
    table = features.fit_transform(superpixels[:1])
    assert table.n_columns == n_columns
    assert len(set(table.columns)) == n_columns
    assert np.isfinite(table.to_numpy()).all()
