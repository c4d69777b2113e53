"""Checkpoints of networks that levels train: fine-tuning, and local convnets."""

import numpy as np
import pytest
from checkpoints import damage, interrupt, write_at_every_step

torch = pytest.importorskip("torch")

from sklearn_zoomout import (  # noqa: E402
    Backbone,
    ConvnetSuperpixelFeatures,
    FineTuning,
    LocalConvnetFeatures,
    Training,
)
from sklearn_zoomout.exceptions import CheckpointWarning  # noqa: E402
from sklearn_zoomout.features import _local_net  # noqa: E402
from sklearn_zoomout.features.convnet import _linear_head  # noqa: E402

N_STEPS = 5


def local_convnet(folder, cv=None, seed=0, **settings):
    """A level whose small convnet is trained for a few steps."""
    settings = {"max_steps": N_STEPS, "batch_size": 8, **settings}
    training = Training(checkpoint=folder, **settings)
    return LocalConvnetFeatures(training=training, cv=cv, random_state=seed)


def fine_tuned(folder, name="zoomnet", seed=0, memory=None, **settings):
    """A level whose backbone is fine-tuned for a few steps."""
    settings = {"max_steps": N_STEPS, "batch_size": 2, "input_size": 64, **settings}
    fine_tune = FineTuning(checkpoint=folder, **settings)
    backbone = Backbone(name, fine_tune=fine_tune, random_state=seed)
    return ConvnetSuperpixelFeatures(backbone, input_size=64, memory=memory)


KINDS = {
    "local_convnet": (local_convnet, _local_net, "weighted_log_loss"),
    "fine-tuned_zoomnet": (fine_tuned, _linear_head, "region_loss"),
}


class Loss:
    """Counts the steps of a training, and interrupts it in one of them."""

    def __init__(self, loss):
        self.loss, self.n_steps, self.stop = loss, 0, None

    def __call__(self, *args):
        if self.n_steps == self.stop:
            raise KeyboardInterrupt
        self.n_steps += 1
        return self.loss(*args)

    def count(self, fit, *args):
        """Return the number of steps of a fit."""
        self.n_steps, self.stop = 0, None
        fit(*args)
        return self.n_steps

    def interrupt(self, stop, fit, *args):
        """Interrupt a fit after some steps."""
        self.n_steps, self.stop = 0, stop
        interrupt(fit, *args)


@pytest.fixture(params=KINDS)
def kind(request):
    """What is trained: the beginning of the name of the file."""
    return request.param


@pytest.fixture
def make(kind):
    """A function that makes a level with a folder of checkpoints."""
    return KINDS[kind][0]


@pytest.fixture
def loss(kind, monkeypatch):
    """The loss of the training, counted, with checkpoints after every step."""
    write_at_every_step(monkeypatch)
    _, module, name = KINDS[kind]
    counted = Loss(getattr(module, name))
    monkeypatch.setattr(module, name, counted)
    return counted


def weights_of(level):
    """All trained numbers of a level."""
    if isinstance(level, LocalConvnetFeatures):
        return [value.numpy() for value in level.net_.state_dict().values()]
    return list(level._fine_tuned.values.values())


def assert_same(one, other):
    """The same weights to the last bit."""
    for a, b in zip(weights_of(one), weights_of(other), strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("step", [0, 1, 3, 4])
def test_a_training_that_goes_on_equals_one_that_never_stopped(
    superpixels, masks, tmp_path, kind, make, loss, step
):
    """Interrupted before its first step, after it, in the middle, in the last."""
    whole = make(None).fit(superpixels, masks)
    loss.interrupt(step, make(tmp_path).fit, superpixels[:], masks)
    assert [p.name.startswith(kind) for p in tmp_path.iterdir()] == [True] * (step > 0)
    resumed = make(tmp_path)
    assert loss.count(resumed.fit, superpixels[:], masks) == N_STEPS - step
    assert_same(resumed, whole)
    again = make(tmp_path)
    assert loss.count(again.fit, superpixels[:], masks) == 0
    assert_same(again, whole)


def test_another_training_starts_from_its_beginning(
    superpixels, masks, tmp_path, make, loss
):
    """Other settings, another seed, other images or labels."""
    other_masks = [np.where(m == masks[0].max(), masks[0].min(), m) for m in masks]
    loss.interrupt(3, make(tmp_path).fit, superpixels, masks)
    for level, data in (
        (make(tmp_path, learning_rate=0.01), (superpixels, masks)),
        (make(tmp_path, seed=1), (superpixels, masks)),
        (make(tmp_path), (superpixels[:3], masks[:3])),
        (make(tmp_path), (superpixels[:], other_masks)),
    ):
        assert loss.count(level.fit, *data) == N_STEPS
    assert loss.count(make(tmp_path).fit, superpixels[:], masks) == N_STEPS - 3


def test_a_damaged_checkpoint_is_noticed(superpixels, masks, tmp_path, make, loss):
    """The training starts anew, with a warning, and overwrites it."""
    loss.interrupt(3, make(tmp_path).fit, superpixels[:], masks)
    (path,) = tmp_path.iterdir()
    damage(path, -5)
    level = make(tmp_path)
    with pytest.warns(CheckpointWarning, match="damaged .* from its beginning"):
        assert loss.count(level.fit, superpixels[:], masks) == N_STEPS
    assert_same(level, make(None).fit(superpixels[:], masks))
    assert loss.count(make(tmp_path).fit, superpixels[:], masks) == 0


@pytest.mark.parametrize("kind", ["local_convnet"])
def test_the_folds_of_a_local_convnet_go_on(superpixels, masks, tmp_path, make, loss):
    """Those that are trained are not trained again."""
    whole = make(None, cv=2).fit_transform(superpixels, masks)
    loss.interrupt(8, make(tmp_path, cv=2).fit_transform, superpixels, masks)
    assert len(list(tmp_path.iterdir())) == 2
    resumed = make(tmp_path, cv=2)
    assert loss.count(resumed.fit_transform, superpixels, masks) == 3 * N_STEPS - 8
    table = make(tmp_path, cv=2).fit_transform(superpixels, masks)
    rows = np.arange(table.n_rows)
    np.testing.assert_array_equal(table.take(rows), whole.take(rows))


@pytest.mark.parametrize("kind", ["local_convnet"])
def test_a_checkpoint_needs_a_seed(superpixels, masks, tmp_path, make):
    """Without one, no two trainings are the same."""
    with pytest.raises(ValueError, match="checkpoint: expected a random_state, got No"):
        make(tmp_path, seed=None).fit(superpixels, masks)


@pytest.mark.parametrize("kind", ["fine-tuned_zoomnet"])
def test_a_callable_has_no_checkpoint(superpixels, masks, tmp_path, make):
    """Its code may change."""
    with pytest.raises(ValueError, match="checkpoint: expected the name of a backbone"):
        make(tmp_path, name=torch.nn.Identity).fit(superpixels, masks)


def test_a_checkpoint_is_a_folder(superpixels, masks, tmp_path, make):
    """A file is refused before any work."""
    (tmp_path / "file").touch()
    with pytest.raises(ValueError, match="checkpoint: expected a folder, got '"):
        make(tmp_path / "file").fit(superpixels, masks)


@pytest.mark.parametrize("kind", ["fine-tuned_zoomnet"])
def test_memory_finds_weights_wherever_checkpoints_are(
    superpixels, masks, tmp_path, make, loss
):
    """The folder of checkpoints is not part of what is trained."""
    memory = tmp_path / "memory"
    first = make(tmp_path / "a", memory=memory).fit(superpixels[:], masks)
    for folder in (None, tmp_path / "b"):
        again = make(folder, memory=memory)
        assert loss.count(again.fit, superpixels[:], masks) == 0
        assert_same(again, first)
    assert make(None).backbone == first.backbone


def test_checkpoints_are_written_now_and_then(
    superpixels, masks, tmp_path, make, monkeypatch
):
    """After every twentieth of the steps."""
    from sklearn_zoomout._utils import checkpoints

    steps = []
    monkeypatch.setattr(checkpoints, "_TIMES", 0)
    monkeypatch.setattr(
        checkpoints.Checkpoint, "write", lambda _, now: steps.append(now.step)
    )
    make(tmp_path, max_steps=41, batch_size=1).fit(superpixels, masks)
    assert steps == [*range(3, 41, 3), 41]
