"""The classifier that is trained together with a backbone, and its loss."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from sklearn_zoomout import SegmentedImage  # noqa: E402
from sklearn_zoomout.features.convnet._linear_head import (  # noqa: E402
    RegionScores,
    region_loss,
)
from sklearn_zoomout.masks import UNLABELED  # noqa: E402


def test_scores_are_those_of_averages_over_superpixels():
    """A linear classifier of the features of the maps level is trained."""
    generator = torch.Generator().manual_seed(0)
    segmented = SegmentedImage(
        np.zeros((32, 48, 3)), np.random.default_rng(0).integers(0, 9, (32, 48))
    )
    one_map = torch.randn(1, 5, 8, 12, generator=generator)
    scores = RegionScores([2.0], [5], n_classes=3)
    weight = torch.randn(3, 5, generator=generator)
    bias = torch.randn(3, generator=generator)
    scores.load_state_dict(
        {"layers.0.weight": weight[:, :, None, None], "layers.0.bias": bias}
    )
    segments = torch.from_numpy(segmented.segments).long()[None]
    found, areas = scores([one_map], segments, 10)
    pixels = torch.nn.functional.interpolate(one_map, (32, 48), mode="bilinear")[0]
    averages = torch.stack([pixels[:, segments[0] == i].mean(1) for i in range(9)])
    expected = averages / 2 @ weight.T + bias
    np.testing.assert_allclose(found[:9].detach(), expected, rtol=1e-4, atol=1e-5)
    assert areas.tolist() == [*segmented.areas, 0]
    assert found[9].tolist() == [0, 0, 0]


@pytest.mark.parametrize("stride", [1, 2, 8])
def test_maps_of_any_stride_are_averaged(stride):
    """The averages of noise are nearly exact, and every cell gets a gradient."""
    generator = torch.Generator().manual_seed(0)
    shape = (64, 96)
    small = [side // stride for side in shape]
    one_map = torch.randn(1, 4, *small, generator=generator, requires_grad=True)
    blocks = np.arange(6).reshape(2, 3)
    segments = torch.from_numpy(np.kron(blocks, np.ones((32, 32), int)))[None]
    scores = RegionScores([1.0], [4], n_classes=4)
    eye = torch.eye(4)[:, :, None, None]
    scores.load_state_dict({"layers.0.weight": eye, "layers.0.bias": torch.zeros(4)})
    found, _ = scores([one_map], segments, 6)
    pixels = torch.nn.functional.interpolate(one_map, shape, mode="bilinear")[0]
    expected = torch.stack([pixels[:, segments[0] == i].mean(1) for i in range(6)])
    error = (found - expected).abs().mean() / expected.abs().mean()
    assert error < 0.2
    (found**2).sum().backward()
    assert (one_map.grad != 0).all()


def test_loss_is_the_mean_over_labeled_pixels():
    """Every pixel that is seen has the loss of its superpixel."""
    rng = np.random.default_rng(0)
    scores = rng.normal(size=(6, 3))
    areas = np.array([4, 0, 3, 9, 1, 5])
    targets = np.array([0, 1, UNLABELED, 2, 2, 0])
    weight = np.array([1.0, 3.0, 0.5])
    total = count = 0.0
    for row, area, target in zip(scores, areas, targets, strict=True):
        for _ in range(area if target != UNLABELED else 0):
            proba = np.exp(row) / np.exp(row).sum()
            total -= weight[target] * np.log(proba[target])
            count += weight[target]
    found = region_loss(
        torch.tensor(scores, dtype=torch.float32),
        torch.tensor(areas),
        torch.tensor(targets),
        torch.tensor(weight, dtype=torch.float32),
    )
    assert found.item() == pytest.approx(total / count, rel=1e-5)


def test_loss_of_unlabeled_superpixels_is_zero():
    """An image may show no labeled superpixel in a step."""
    nothing = torch.full((6,), UNLABELED)
    loss = region_loss(torch.zeros(6, 3), torch.ones(6), nothing, torch.ones(3))
    assert loss.item() == 0
