"""The settings of training, and what the training loop refuses."""

import numpy as np
import pytest
from sklearn.exceptions import NotFittedError
from sklearn.utils._param_validation import InvalidParameterError

torch = pytest.importorskip("torch")

from sklearn_zoomout import (  # noqa: E402
    Backbone,
    ConvnetSuperpixelFeatures,
    FineTuning,
    LocalConvnetFeatures,
    Training,
)
from sklearn_zoomout.features import _local_net  # noqa: E402
from sklearn_zoomout.features.convnet import _linear_head  # noqa: E402


@pytest.mark.parametrize("settings", [Training, FineTuning])
@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("max_steps", (0, 2.5, True, "10")),
        ("batch_size", (0, None, 1.5)),
        ("learning_rate", (0, -1e-4, "fast")),
        ("weight_decay", (-1, None)),
        ("class_weight", ("equal", 2.0, True, {0: 1.0})),
    ],
)
def test_wrong_settings(settings, name, values):
    """They are refused at once, by their names."""
    for value in values:
        with pytest.raises(
            InvalidParameterError, match=f"'{name}' .* of {settings.__name__} must"
        ):
            settings(**{name: value})


@pytest.mark.parametrize("value", [0, 96.5, None])
def test_wrong_size_of_images(value):
    """Fine-tuning alone sees whole images."""
    with pytest.raises(InvalidParameterError, match="'input_size' .* of FineTuning"):
        FineTuning(input_size=value)


def test_fine_tuning_is_a_training_with_other_defaults():
    """Settings of another class are never equal."""
    assert isinstance(FineTuning(), Training)
    assert FineTuning().class_weight == Training().class_weight
    numbers = {"batch_size": 64, "learning_rate": 1e-3}
    assert FineTuning(**numbers) != Training(**numbers)
    assert repr(FineTuning(batch_size=64)) == "FineTuning(batch_size=64)"
    assert repr(Training(batch_size=64)) == "Training()"


def local_convnet(**settings):
    """Make a level whose small convnet is trained for a few steps."""
    training = Training(**{"max_steps": 2, "batch_size": 8, **settings})
    return LocalConvnetFeatures(training=training, cv=None, random_state=0)


def fine_tuned(**settings):
    """Make a level whose backbone is fine-tuned for a few steps."""
    options = {"max_steps": 2, "batch_size": 2, "input_size": 96, **settings}
    backbone = Backbone(fine_tune=FineTuning(**options))
    return ConvnetSuperpixelFeatures(backbone, input_size=96)


KINDS = {
    "local convnet": (local_convnet, _local_net, "weighted_log_loss"),
    "fine-tuning": (fine_tuned, _linear_head, "region_loss"),
}
NAMES = {
    "local convnet": "training of the local convnet",
    "fine-tuning": "fine_tune of backbone 'zoomnet'",
}


@pytest.fixture(params=KINDS)
def kind(request):
    """What is trained."""
    return request.param


@pytest.fixture
def make_level(kind):
    """A function that makes a level with settings of its training."""
    return KINDS[kind][0]


@pytest.fixture
def set_loss(kind, monkeypatch):
    """A function that replaces the loss."""
    _, module, name = KINDS[kind]
    return lambda loss: monkeypatch.setattr(module, name, loss)


def assert_refused(level, superpixels, masks, message):
    """Fit must fail with the message, and leave nothing fitted."""
    with pytest.raises(ValueError, match=message):
        level.fit(superpixels, masks)
    with pytest.raises(NotFittedError):
        level.transform(superpixels)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_loss_that_is_not_finite_in_the_first_step(
    superpixels, masks, kind, make_level, set_loss, value
):
    """The learning rate cannot be the cause."""
    set_loss(lambda scores, *_: scores.sum() * 0 + value)
    message = f"{NAMES[kind]}: the training loss became {value} in step 1 of 2; its"
    assert_refused(make_level(), superpixels, masks, message)


def test_a_loss_that_is_not_finite_later(superpixels, masks, kind, make_level):
    """Steps were too large."""
    message = rf"{NAMES[kind]}: .* became \w+ in step [23] of 3; lower learning_rate"
    level = make_level(max_steps=3, learning_rate=1e30)
    assert_refused(level, superpixels, masks, message)


def test_weights_that_are_not_finite_after_the_last_step(
    superpixels, masks, kind, make_level, set_loss
):
    """No further loss would show it."""
    set_loss(lambda scores, *_: (0 * scores.sum()).sqrt())  # an infinite gradient
    message = f"{NAMES[kind]}: the weights became NaN .* in step 1 of 1; lower"
    assert_refused(make_level(max_steps=1), superpixels, masks, message)


def test_no_gradient(superpixels, masks, kind, make_level, set_loss):
    """A loss that does not depend on the weights trains nothing."""
    set_loss(lambda *_: torch.zeros((), requires_grad=True))
    message = f"{NAMES[kind]}: expected gradients of the weights, got none"
    assert_refused(make_level(), superpixels, masks, message)


def small_convnet(scale=1.0):
    """Make a convolution, whose weights are multiplied by a number."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        layer = torch.nn.Conv2d(3, 4, 3, stride=2)
    layer.weight.data *= scale
    return torch.nn.Sequential(layer, torch.nn.ReLU())


def test_a_callable_whose_network_cannot_be_trained(superpixels, masks):
    """It computes without gradients, or its maps are not finite."""

    class Detached(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = small_convnet()

        @torch.no_grad()
        def forward(self, x):
            return self.inner(x)

    def broken():
        return small_convnet(np.nan)

    for build, message in (
        (Detached, r"'Detached': expected gradients .*torch.no_grad"),
        (broken, "became nan in step 1 of 2; its input or maps are not finite"),
    ):
        level = fine_tuned().set_params(backbone__name=build)
        assert_refused(level, superpixels, masks, message)


def test_progress_is_shown(superpixels, masks, kind, make_level, capsys):
    """The bar names what is trained."""
    make_level().set_params(verbose=1).fit(superpixels, masks)
    assert NAMES[kind] in capsys.readouterr().err
