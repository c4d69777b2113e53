"""The loss of equation (2)."""

import numpy as np
import pytest
import torch

from sklearn_zoomout.exceptions import AbsentClassWarning, LostClassWarning
from sklearn_zoomout.labels import LabeledRows
from sklearn_zoomout.loss import (
    class_weights,
    warn_of_lost_classes,
    weighted_log_loss,
)


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
    tensors = map(torch.tensor, (logits, target, weight))
    loss = weighted_log_loss(*tensors)
    assert loss.dtype == torch.float64
    assert float(loss) == pytest.approx(expected, rel=1e-12, abs=1e-12)


def test_gradient_is_that_of_equation_2():
    """dL/dz = 1/N * 1/f(y) * (p - onehot(y)), to 1e-12."""
    logits, target, weight = random_batch()
    onehot = np.eye(4)[target]
    error = np.exp(log_softmax(logits)) - onehot
    expected = weight[target, None] * error / len(target)
    z = torch.tensor(logits, requires_grad=True)
    weighted_log_loss(z, torch.tensor(target), torch.tensor(weight)).backward()
    np.testing.assert_allclose(z.grad.numpy(), expected, rtol=1e-12, atol=1e-12)


def test_loss_keeps_the_weight_of_a_batch_of_one_class():
    """Unlike torch's weighted mean, which divides by the sum of the weights."""
    logits, target = torch.zeros(3, 2), torch.tensor([1, 1, 1])
    weight = torch.tensor([1.0, 10.0])
    loss = weighted_log_loss(logits, target, weight)
    assert float(loss) == pytest.approx(10 * np.log(2))
    torchs = torch.nn.functional.cross_entropy(logits, target, weight)
    assert float(torchs) == pytest.approx(np.log(2))


def test_loss_of_nothing_is_zero():
    """An empty batch has loss 0 and gradient 0, not NaN."""
    logits = torch.zeros(0, 3, requires_grad=True)
    loss = weighted_log_loss(logits, torch.zeros(0, dtype=int), torch.ones(3))
    loss.backward()
    assert loss.item() == 0
    assert logits.grad.shape == (0, 3)


def test_loss_of_one_row_is_its_own():
    """It is divided by one."""
    loss = weighted_log_loss(torch.zeros(1, 2), torch.tensor([1]), torch.ones(2))
    assert float(loss) == pytest.approx(np.log(2))


def test_loss_with_unit_weights_is_cross_entropy():
    """The symmetric loss is the ordinary one."""
    logits, target, _ = random_batch()
    z, y = torch.tensor(logits), torch.tensor(target)
    expected = torch.nn.functional.cross_entropy(z, y)
    loss = weighted_log_loss(z, y, torch.ones(4))
    assert float(loss) == pytest.approx(float(expected), rel=1e-12)


def test_loss_of_rare_class_weighted_zero():
    """A class of weight 0 contributes nothing."""
    logits, target = torch.randn(4, 2), torch.tensor([1, 1, 1, 1])
    assert float(weighted_log_loss(logits, target, torch.tensor([1.0, 0.0]))) == 0


def test_a_class_that_wins_no_superpixel_is_named():
    """The error for one class that is left tells what the others lack."""
    with pytest.raises(ValueError, match=r"only class 0; classes \[1\] .*n_segments"):
        class_weights("balanced", np.array([0, 1]), np.array([1.0, 0.0]))
    with pytest.raises(ValueError, match="only class 0; .*mark_unlabeled"):
        class_weights("balanced", np.array([0]), np.array([1.0]))


CLASSES, FREQUENCY = np.array([3, 10, 20]), np.array([0.5, 0.25, 0.25])


@pytest.mark.parametrize(
    ("class_weight", "expected"),
    [
        ("balanced", [2, 4, 4]),
        (0.5, [2**0.5, 2, 2]),
        (0, [1, 1, 1]),
        (None, [1, 1, 1]),
        ({10: 0.5, 20: 0}, [1, 0.5, 0]),
        ({3: 1, 10: 2, 20: 3}, [1, 2, 3]),
    ],
)
def test_weights_are_powers_of_the_inverse_frequency_or_those_given(
    class_weight, expected
):
    """Classes that a mapping leaves out have the weight 1."""
    weights = class_weights(class_weight, CLASSES, FREQUENCY)
    assert weights.dtype == np.float64
    np.testing.assert_allclose(weights, expected, rtol=1e-12)


@pytest.mark.parametrize("class_weight", ["balanced", 0.5, None, {3: 1, 10: 1, 20: 1}])
def test_classes_without_superpixels_weigh_nothing_and_are_named(class_weight):
    """They take no part in the loss."""
    frequency = np.array([0.5, 0, 0.5])
    with pytest.warns(AbsentClassWarning, match=r"classes \[10\]"):
        weights = class_weights(class_weight, CLASSES, frequency)
    assert weights[1] == 0
    assert (weights[[0, 2]] >= 1).all()


def labeled(kept):
    """Labels of rows of three classes, which keep these shares of their pixels."""
    none = np.empty(0, dtype=np.int64)
    return LabeledRows(none, none, none, CLASSES, np.array(kept))


def test_classes_that_lose_most_of_their_pixels_are_named():
    """Those that keep exactly half are not lost, and those without any are absent."""
    warn_of_lost_classes(labeled([0, 0.5, 1]))
    message = "class 10 keeps 49%, 20 keeps 1% of its pixels"
    with pytest.warns(LostClassWarning, match=message):
        warn_of_lost_classes(labeled([0.5, 0.49, 0.01]))
