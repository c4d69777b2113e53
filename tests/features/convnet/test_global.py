"""The global level: the whole image."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from sklearn_zoomout import Backbone, GlobalFeatures  # noqa: E402
from sklearn_zoomout.features.convnet._resizing import resize  # noqa: E402


@pytest.mark.parametrize(
    "name",
    [
        "squeezenet1_0",
        "mobilenet_v2_tf2",
        "resnet18",
        pytest.param("vgg16", marks=pytest.mark.slow),
    ],
)
def test_superpixels_of_an_image_share_a_row(superpixels, narrow_fc7, name):
    """It is stored once for each image."""
    features = GlobalFeatures(Backbone(name, None), crop_size=64)
    table = features.fit_transform(superpixels)
    values = table.to_numpy()
    starts = np.repeat(superpixels.row_offsets[:-1], np.diff(superpixels.row_offsets))
    assert table.blocks[0].values.shape == (4, features.n_features_out_)
    np.testing.assert_array_equal(values, values[starts])
    assert np.ptp(values[superpixels.row_offsets[:-1]], axis=0).max() > 0


def test_it_is_the_network_of_the_resized_image(superpixels, images, normalized):
    """The image becomes a square, and its last map is averaged."""
    features = GlobalFeatures(Backbone("squeezenet1_1", None), crop_size=64)
    features.fit(superpixels)
    network = features.get_network().module.features
    squares = torch.stack([resize(normalized(image), (64, 64)) for image in images])
    with torch.inference_mode():
        expected = network(squares).mean(dim=(2, 3))
    found = features.transform(superpixels).blocks[0].values
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-6)


def test_features_do_not_depend_on_other_images(superpixels):
    """Bit for bit: every image has a forward pass of its own."""
    features = GlobalFeatures(crop_size=64).fit(superpixels)
    together = features.transform(superpixels).to_numpy()
    alone = [features.transform(superpixels[i : i + 1]).to_numpy() for i in range(4)]
    np.testing.assert_array_equal(together, np.concatenate(alone))
    one_row = features.describe(superpixels[1])
    np.testing.assert_array_equal(alone[1], np.broadcast_to(one_row, alone[1].shape))
