"""The loss of equation (2), the network, and how rows reach them."""

import copy
import pickle

import numpy as np
import pytest
import torch

from sklearn_zoomout import FeatureTable, SegmentedImage, Superpixels
from sklearn_zoomout.classifier._batches import TableRows, load_batches
from sklearn_zoomout.classifier._net import WeightedLogLoss, ZoomoutNet
from sklearn_zoomout.classifier._standardization import CLIP
from sklearn_zoomout.table import Block


def log_softmax(logits):
    shifted = logits - logits.max(axis=1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))


def random_batch(n_rows=50, n_classes=4, seed=0):
    rng = np.random.default_rng(seed)
    logits = rng.normal(0, 5, (n_rows, n_classes))
    target = rng.choice(n_classes, n_rows, p=[0.7, 0.2, 0.08, 0.02])
    return logits, target, 1 / np.array([0.7, 0.2, 0.08, 0.02])


def test_loss_is_equation_2():
    """L = 1/N sum_i 1/f(y_i) * -log p(y_i), to 1e-12."""
    logits, target, weight = random_batch()
    rows = np.arange(len(target))
    expected = -(weight[target] * log_softmax(logits)[rows, target]).sum() / len(target)
    loss = WeightedLogLoss(weight)(torch.tensor(logits), torch.tensor(target))
    assert loss.dtype == torch.float64
    assert float(loss) == pytest.approx(expected, rel=1e-12, abs=1e-12)


def test_gradient_is_that_of_equation_2():
    """dL/dz = 1/N * 1/f(y) * (p - onehot(y)), to 1e-12."""
    logits, target, weight = random_batch()
    onehot = np.eye(4)[target]
    error = np.exp(log_softmax(logits)) - onehot
    expected = weight[target, None] * error / len(target)
    z = torch.tensor(logits, requires_grad=True)
    WeightedLogLoss(weight)(z, torch.tensor(target)).backward()
    np.testing.assert_allclose(z.grad.numpy(), expected, rtol=1e-12, atol=1e-12)


def test_loss_keeps_the_weight_of_a_batch_of_one_class():
    """Unlike torch's weighted mean, which divides by the sum of the weights."""
    logits, target = torch.zeros(3, 2), torch.tensor([1, 1, 1])
    loss = WeightedLogLoss([1.0, 10.0])(logits, target)
    assert float(loss) == pytest.approx(10 * np.log(2))
    torchs = torch.nn.functional.cross_entropy(
        logits, target, torch.tensor([1.0, 10.0])
    )
    assert float(torchs) == pytest.approx(np.log(2))


def test_loss_of_nothing_is_zero():
    """An empty batch has loss 0 and gradient 0, not NaN."""
    logits = torch.zeros(0, 3, requires_grad=True)
    loss = WeightedLogLoss([1.0, 2.0, 3.0])(logits, torch.zeros(0, dtype=int))
    loss.backward()
    assert loss.item() == 0
    assert logits.grad.shape == (0, 3)


def test_loss_with_unit_weights_is_cross_entropy():
    """The symmetric loss is the ordinary one."""
    logits, target, _ = random_batch()
    z, y = torch.tensor(logits), torch.tensor(target)
    expected = torch.nn.functional.cross_entropy(z, y)
    assert float(WeightedLogLoss(np.ones(4))(z, y)) == pytest.approx(
        float(expected), rel=1e-12
    )


def test_loss_of_rare_class_weighted_zero():
    """A class of weight 0 contributes nothing."""
    logits, target = torch.randn(4, 2), torch.tensor([1, 1, 1, 1])
    assert float(WeightedLogLoss([1.0, 0.0])(logits, target)) == 0


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
    net = ZoomoutNet(5, (1000,), 3, dropout=0.25)
    x = torch.ones(4, 1000)
    dropped = net.train()._drop(x)
    assert dropped.unique().tolist() == pytest.approx([0, 4 / 3])
    assert float((dropped == 0).float().mean()) == pytest.approx(0.25, abs=0.05)
    assert torch.equal(net.eval()._drop(x), x)


@pytest.mark.parametrize(
    "duplicate", [copy.deepcopy, lambda net: pickle.loads(pickle.dumps(net))]
)
def test_net_is_copied_after_dropout(duplicate):
    """A net that has drawn dropout can be copied and pickled."""
    net = ZoomoutNet(5, (4,), 3, dropout=0.5).train()
    x = torch.ones(2, 5)
    net(x)
    assert torch.equal(duplicate(net).eval()(x), net.eval()(x))


@pytest.fixture
def rows():
    """Ten rows of a table; row i holds i, and has the class i % 3."""
    segments = np.arange(10).reshape(2, 5)
    superpixels = Superpixels([SegmentedImage(np.zeros((2, 5, 3)), segments)])
    values = np.arange(10, dtype=np.float32)[:, None]
    table = FeatureTable(superpixels, [Block("test", ("value",), values)])
    return TableRows(table, np.arange(10), np.arange(10) % 3)


@pytest.mark.parametrize("batch_size", [1, 3, 4, 10, 50])
def test_batches_hold_every_row_once(rows, batch_size):
    """An epoch shows every row with its class, in batches of nearly equal size."""
    batches = load_batches(rows, batch_size, np.random.default_rng(0))
    drawn = [(x.clone(), y) for x, y in batches]
    sizes = [len(y) for _, y in drawn]
    assert max(sizes) <= batch_size
    assert max(sizes) - min(sizes) <= 1
    assert len(sizes) == len(batches)
    x = torch.cat([x for x, _ in drawn]).ravel()
    y = torch.cat([y for _, y in drawn])
    assert sorted(x.tolist()) == list(range(10))
    assert torch.equal(y, x.long() % 3)


def test_batches_are_shuffled_anew_every_epoch(rows):
    """Two epochs differ; without a generator the order is kept."""

    def epoch(batches):
        return [x.ravel().tolist() for x, _ in batches]

    shuffled = load_batches(rows, 3, np.random.default_rng(0))
    assert epoch(shuffled) != epoch(shuffled)
    kept = load_batches(rows, 5)
    assert epoch(kept) == [[0, 1, 2, 3, 4], [5, 6, 7, 8, 9]]


def test_batches_share_one_buffer(rows):
    """No batch allocates memory of its own for the features."""
    addresses = {x.data_ptr() for x, _ in load_batches(rows, 3)}
    assert len(addresses) == 1


def test_rows_are_a_dataset_of_torch(rows):
    """A position is a row, several positions are a batch."""
    value, target = rows[4]
    assert (value.tolist(), target) == ([4.0], 1)
    values, targets = rows[np.array([4, 2])]
    assert values.ravel().tolist() == [4.0, 2.0]
    assert targets.tolist() == [1, 2]


def test_batches_leave_the_generator_of_torch_alone(rows):
    """torch's loader would draw a seed from it."""
    before = torch.random.get_rng_state()
    list(load_batches(rows, 3, np.random.default_rng(0)))
    assert torch.equal(torch.random.get_rng_state(), before)
