"""Training of the network: callbacks, held-out images, interrupts and seeds."""

import threading

import numpy as np
import pytest
import torch
from labeled_tables import make_classifier
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from skorch.callbacks import Callback, EarlyStopping, LRScheduler


def test_training_that_diverges(data):
    """NaN in training is an error at the epoch that has it, and nothing is fitted."""
    classifier = make_classifier(learning_rate=1e38, hidden_units=(8, 8))
    with pytest.raises(
        ValueError, match=r"became (nan|inf|NaN or infinite) in epoch \d"
    ):
        classifier.fit(*data)
    with pytest.raises(NotFittedError):
        classifier.predict(data[0])


class Interrupt(Callback):
    """Interrupts training as Ctrl-C does."""

    def __init__(self, event):
        self.event = event

    def on_batch_end(self, net, **kwargs):
        if self.event == "batch":
            raise KeyboardInterrupt

    def on_epoch_end(self, net, **kwargs):
        if self.event == "epoch":
            raise KeyboardInterrupt


@pytest.mark.parametrize("event", ["batch", "epoch"])
def test_interrupt_is_raised_again(data, event):
    """After Ctrl-C the classifier is not fitted."""
    classifier = make_classifier(callbacks=[Interrupt(event)])
    with pytest.raises(KeyboardInterrupt):
        classifier.fit(*data)
    with pytest.raises(NotFittedError):
        classifier.predict(data[0])


def test_interrupted_refit_is_not_fitted(data):
    """Neither is a classifier that was fitted before, with other parameters."""
    classifier = make_classifier(max_epochs=1).fit(*data)
    with pytest.raises(KeyboardInterrupt):
        classifier.set_params(callbacks=[Interrupt("epoch")]).fit(*data)
    with pytest.raises(NotFittedError):
        classifier.predict(data[0])


class InterruptedStopping(EarlyStopping):
    """Ctrl-C arrives while it decides whether to stop."""

    def on_epoch_end(self, net, **kwargs):
        super().on_epoch_end(net, **kwargs)
        if len(net.history) == 3:
            raise KeyboardInterrupt


@pytest.mark.parametrize("patience", [2, 50])
def test_interrupt_within_early_stopping_is_an_interrupt(data, patience):
    """Ctrl-C is raised again, even in the epoch in which training would stop."""
    callback = InterruptedStopping("train_loss", patience=patience, threshold=0.9)
    classifier = make_classifier(callbacks=[callback])
    with pytest.raises(KeyboardInterrupt):
        classifier.fit(*data)
    assert not hasattr(classifier, "classes_")
    assert callback.patience == patience


def test_early_stopping(data):
    """The callback reaches skorch, and sees the loss of held-out images."""
    table, masks = data
    callback = EarlyStopping(patience=2, threshold=0.5)
    model = make_classifier(
        schedule="constant",
        callbacks=[callback],
        validation_fraction=0.3,
        max_epochs=100,
    ).fit(table, masks)
    assert 3 <= len(model.history_) < 100
    assert all(np.isfinite(epoch["valid_loss"]) for epoch in model.history_)
    assert model.score(table, masks) > 0.5


@pytest.mark.parametrize("callback", [3, ("name", "stop"), print])
def test_callback_that_is_none(data, callback):
    """It is refused before any work, with its position."""
    callbacks = [EarlyStopping("train_loss"), callback]
    with pytest.raises(ValueError, match=r"callbacks\[1\]: expected a skorch callback"):
        make_classifier(callbacks=callbacks).fit(data[0], None)


def test_early_stopping_without_validation(data):
    """A callback that monitors what is not computed is refused."""
    with pytest.raises(ValueError, match=r"callbacks\[0\]: EarlyStopping monitors"):
        make_classifier(callbacks=[EarlyStopping()]).fit(*data)
    by_loss = EarlyStopping("train_loss", patience=2, threshold=0.5)
    model = make_classifier(callbacks=[("stop", by_loss)], max_epochs=100).fit(*data)
    assert len(model.history_) < 100


def test_early_stopping_restores_the_best_weights(data):
    """With load_best the net is the one of the epoch with the lowest loss."""
    callback = EarlyStopping(patience=3, threshold=0, load_best=True)
    model = make_classifier(
        schedule="constant",
        callbacks=[callback],
        validation_fraction=0.3,
        learning_rate=0.3,
        max_epochs=60,
    ).fit(*data)
    best = callback.best_epoch_
    losses = [epoch["valid_loss"] for epoch in model.history_]
    assert best == 1 + np.argmin(losses) == len(losses) - 3
    until_best = clone(model).set_params(callbacks=None, max_epochs=best).fit(*data)
    np.testing.assert_array_equal(
        model.predict_superpixel_proba(data[0]),
        until_best.predict_superpixel_proba(data[0]),
    )


def test_early_stopping_tells_why(data, capsys):
    """With verbose, as skorch does."""
    callback = EarlyStopping("train_loss", patience=2, threshold=0.9)
    make_classifier(callbacks=[callback], verbose=1).fit(*data)
    expected = "Stopping since train_loss has not improved in the last 2 epochs."
    assert expected in capsys.readouterr().out


class GrowingPatience(EarlyStopping):
    """Becomes more patient in the second epoch."""

    def on_epoch_end(self, net, **kwargs):
        super().on_epoch_end(net, **kwargs)
        if len(net.history) == 2:
            self.patience = 5


def test_early_stopping_may_change_its_patience(data):
    """A subclass sets it while it is called."""
    callback = GrowingPatience("train_loss", patience=2, threshold=0.9)
    assert len(make_classifier(callbacks=[callback]).fit(*data).history_) == 6
    assert callback.patience == 5


def test_the_first_of_several_callbacks_stops(data):
    """Each EarlyStopping has its own patience."""
    callbacks = [EarlyStopping("train_loss", patience=k, threshold=0.9) for k in (7, 3)]
    classifier = make_classifier(callbacks=callbacks).fit(*data)
    assert len(classifier.history_) == 4


def test_learning_rate_schedule(data):
    """skorch's scheduler changes the learning rate of the optimizer."""
    schedule = LRScheduler("StepLR", step_size=1, gamma=0.5, event_name="rate")
    model = make_classifier(callbacks=[schedule], max_epochs=3)
    with pytest.raises(ValueError, match=r"callbacks\[0\]: LRScheduler changes the le"):
        model.fit(*data)
    model.set_params(schedule="constant").fit(*data)
    assert [e["rate"] for e in model.history_] == pytest.approx([0.02, 0.01, 0.005])


def test_validation_fraction_is_of_images(data):
    """Whole images are held out, and take no part in the standardization."""
    table, masks = data
    model = make_classifier(validation_fraction=0.5, max_epochs=1).fit(table, masks)
    means = [
        table[list(images)].mean_and_scale()[0]
        for images in np.ndindex(*[6] * 3)
        if list(images) == sorted(set(images))
    ]
    assert any(np.allclose(mean, model.mean_, atol=1e-6) for mean in means)


def test_validation_that_leaves_nothing(data):
    """One image cannot be split."""
    table, masks = data
    with pytest.raises(ValueError, match="leaves no image to train on"):
        make_classifier(validation_fraction=0.5).fit(table[:1], masks[:1])


@pytest.mark.parametrize("hidden_units", [(), (8,)])
def test_verbose_without_a_terminal(data, capsys, hidden_units):
    """Nothing is printed by default, and one line with the losses if asked."""
    params = {"hidden_units": hidden_units, "max_epochs": None}
    make_classifier(**params).fit(*data)
    assert capsys.readouterr() == ("", "")
    make_classifier(**params, verbose=1, validation_fraction=0.3).fit(*data)
    shown = capsys.readouterr()
    assert shown.err == ""
    assert shown.out.count("\n") == 1
    assert "train_loss" in shown.out and "valid_loss" in shown.out


def test_verbose_in_a_terminal(data, capsys, monkeypatch):
    """One bar of all steps, with the loss of the last one."""
    monkeypatch.setattr("sys.stderr.isatty", lambda: True, raising=False)
    make_classifier(max_epochs=4, verbose=1).fit(*data)
    shown = capsys.readouterr()
    assert shown.out == ""
    assert "20/20" in shown.err and "loss=" in shown.err


def test_same_seed_same_network(data):
    """An integer random_state gives the same network, dropout and all."""
    table, masks = data
    first, second, other = (
        make_classifier(dropout=0.5, validation_fraction=0.3, random_state=seed)
        .fit(table, masks)
        .predict_superpixel_proba(table)
        for seed in (3, 3, 4)
    )
    np.testing.assert_array_equal(first, second)
    assert not np.array_equal(first, other)


def test_global_generators_are_left_alone(data):
    """Neither torch's nor numpy's global generator is moved."""
    torch_state, numpy_state = torch.random.get_rng_state(), np.random.get_state()
    make_classifier(dropout=0.5).fit(*data)
    assert torch.equal(torch.random.get_rng_state(), torch_state)
    np.testing.assert_array_equal(np.random.get_state()[1], numpy_state[1])


def test_fits_in_threads_do_not_disturb_each_other(data):
    """Two fits at once give what each gives alone."""
    table, masks = data
    expected = make_classifier(dropout=0.5).fit(table, masks)
    models = [make_classifier(dropout=0.5) for _ in range(3)]
    threads = [threading.Thread(target=m.fit, args=data) for m in models]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for model in models:
        np.testing.assert_array_equal(
            model.predict_superpixel_proba(table),
            expected.predict_superpixel_proba(table),
        )


class Threads(Callback):
    """Note the number of threads of torch."""

    def on_batch_begin(self, net, **kwargs):
        self.n_threads = torch.get_num_threads()


def test_small_steps_take_one_thread(data):
    """The setting of the user holds again after the fit."""
    before, threads = torch.get_num_threads(), Threads()
    torch.set_num_threads(2)
    try:
        make_classifier(callbacks=[threads], max_epochs=1).fit(*data)
        assert (threads.n_threads, torch.get_num_threads()) == (1, 2)
    finally:
        torch.set_num_threads(before)
