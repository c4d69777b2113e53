"""The network."""

import copy
import pickle

import numpy as np
import pytest
import torch

from sklearn_zoomout.classifier._net import ZoomoutNet
from sklearn_zoomout.classifier._standardization import CLIP


@pytest.mark.parametrize("hidden_units", [(), (8,), (8, 6)])
def test_net_is_the_formula(hidden_units):
    """Standardize, linear layers with ReLU between: the same in numpy."""
    rng = np.random.default_rng(0)
    x = rng.normal(3, 2, (10, 5)).astype(np.float32)
    mean, scale = x.mean(axis=0), x.std(axis=0)
    net = ZoomoutNet(5, hidden_units, 3, mean=mean, scale=scale).eval()
    z = (x - mean) / scale
    weights = [p.detach().numpy() for p in net.parameters()]
    for i in range(0, len(weights), 2):
        z = (np.maximum(z, 0) if i else z) @ weights[i].T + weights[i + 1]
    assert len(weights) == 2 * len(hidden_units) + 2
    logits = net(torch.tensor(x)).detach().numpy()
    np.testing.assert_allclose(logits, z, rtol=1e-4, atol=1e-5)


def test_net_clips_standardized_features():
    """A value a thousand deviations off is as one at the limit."""
    net = ZoomoutNet(2, (4,), 3, mean=[1.0, 1.0], scale=[1e-3, 1.0])
    far, limit = torch.tensor([[2.0, 1.0]]), torch.tensor([[1 + CLIP * 1e-3, 1.0]])
    torch.testing.assert_close(net(far), net(limit), rtol=1e-4, atol=1e-5)


def test_net_without_standardization_takes_values_as_they_are():
    """Without moments nothing is clipped."""
    net = ZoomoutNet(1, (), 2)
    a, b = net(torch.tensor([[100.0]])), net(torch.tensor([[200.0]]))
    assert not torch.allclose(a, b)


def test_net_depends_on_its_seed_alone():
    """Weights follow random_state; torch's global generator is left alone."""
    state = torch.random.get_rng_state()
    nets = [ZoomoutNet(5, (4,), 3, dropout=0.5, random_state=s) for s in (0, 0, 1)]
    x = torch.ones(6, 5)
    first, same, other = (net.train()(x) for net in nets)
    assert torch.equal(torch.random.get_rng_state(), state)
    assert torch.equal(first, same)
    assert not torch.equal(first, other)


def test_initial_weights_have_the_spread_of_torchs():
    """Uniform within 1 / sqrt(n_in), as torch.nn.Linear."""
    net = ZoomoutNet(100, (50,), 3)
    weight = net.layers[0].weight.detach()
    assert weight.abs().max() <= 0.1
    assert float(weight.std()) == pytest.approx(0.1 / np.sqrt(3), rel=0.05)


def test_dropout_only_in_training():
    """It drops and rescales in training, and does nothing in evaluation."""
    net = ZoomoutNet(5, (1000,), 1000, dropout=0.25).requires_grad_(False)
    net.layers[1].weight.copy_(torch.eye(1000))  # shows the hidden units
    net.layers[1].bias.zero_()
    x = torch.ones(4, 1000)
    dropped = net.train().finish(x)
    assert dropped.unique().tolist() == pytest.approx([0, 4 / 3])
    assert float((dropped == 0).float().mean()) == pytest.approx(0.25, abs=0.05)
    assert torch.equal(net.eval().finish(x), x)


@pytest.mark.parametrize(
    "duplicate", [copy.deepcopy, lambda net: pickle.loads(pickle.dumps(net))]
)
def test_net_is_copied_after_dropout(duplicate):
    """A net that has drawn dropout can be copied and pickled."""
    net = ZoomoutNet(5, (4,), 3, dropout=0.5).train()
    x = torch.ones(2, 5)
    net(x)
    assert torch.equal(duplicate(net).eval()(x), net.eval()(x))
