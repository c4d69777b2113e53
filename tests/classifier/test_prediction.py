"""Probabilities of the rows of a table."""

import numpy as np
import pytest
import torch

from sklearn_zoomout.classifier import _prediction
from sklearn_zoomout.classifier._net import ZoomoutNet
from sklearn_zoomout.classifier._prediction import predict_proba


@pytest.mark.parametrize("hidden", [(), (5,), (4, 3)])
@pytest.mark.parametrize("standardize", [True, False])
@pytest.mark.parametrize("levels", ["abc", "ab", "b", "ac"])
def test_shared_products_give_the_plain_probabilities(
    in_memory, monkeypatch, hidden, standardize, levels
):
    """A block of images is multiplied once an image: the same to 1e-6."""
    monkeypatch.setattr(_prediction, "_ROWS_AT_ONCE", 47)  # cuts images in two
    table = in_memory[[3, 1, 1, 0]].select(list(levels))
    mean, scale = table.mean_and_scale() if standardize else (None, None)
    net = ZoomoutNet(table.n_columns, hidden, 3, mean=mean, scale=scale).eval()
    shared = [b.name for b in table.blocks if b.per_image]
    assert shared == (["b"] if "b" in levels else [])
    x = torch.from_numpy(table.to_numpy())
    with torch.inference_mode():
        plain = net(x).softmax(dim=1).numpy()
    np.testing.assert_allclose(predict_proba(net, table), plain, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", ["a", "b"])
def test_a_value_that_is_not_finite_is_named_in_prediction(in_memory, name):
    """In a block of superpixels or of images."""
    (block,) = (block for block in in_memory.blocks if block.name == name)
    block.values[0, 1] = np.nan
    net = ZoomoutNet(7, (2,), 2)
    with pytest.raises(ValueError, match=rf"images\[0\]: feature '{name}__"):
        predict_proba(net, in_memory)


@pytest.mark.parametrize("levels", ["abc", "a"])
def test_an_image_has_the_same_probabilities_alone(in_memory, levels):
    """Bit for bit: no product has rows of two images."""
    table = in_memory.select(list(levels))
    net = ZoomoutNet(table.n_columns, (64,), 3).eval()
    together = np.split(predict_proba(net, table), table.row_offsets[1:-1])
    for i, expected in enumerate(together):
        np.testing.assert_array_equal(predict_proba(net, table[[i]]), expected)
