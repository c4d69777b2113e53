"""Which network is trained, how long, and at what rates."""

import numpy as np
import pytest
from labeled_tables import make_classifier, make_data
from skorch.callbacks import Callback, EarlyStopping

from sklearn_zoomout import ZoomoutClassifier, zoomout_pipeline
from sklearn_zoomout.classifier._schedule import (
    choose_hidden_units,
    count_epochs,
    is_small_step,
    one_cycle,
)


class Rates(Callback):
    """Note the rate of every step."""

    def __init__(self):
        self.rates = []

    def on_batch_begin(self, net, training=False, **kwargs):
        if training:
            self.rates.append(net.optimizer_.param_groups[0]["lr"])


def test_one_cycle_rises_and_falls(data):
    """The rate of the steps has its peak after three tenths, and ends near 0."""
    rates = Rates()
    make_classifier(callbacks=[rates], learning_rate=0.01, max_epochs=8).fit(*data)
    rates = np.array(rates.rates)
    assert len(rates) == 8 * 5
    assert rates.argmax() in (11, 12)
    assert rates.max() == pytest.approx(0.01, rel=0.01)
    assert (np.diff(rates[:12]) > 0).all() and (np.diff(rates[12:]) < 0).all()
    assert 0 < rates[-1] < 1e-4


def test_constant_schedule(data):
    """All steps have the same rate."""
    rates = Rates()
    make_classifier(callbacks=[rates], schedule="constant", max_epochs=2).fit(*data)
    assert set(rates.rates) == {0.02}


def test_a_single_step_learns():
    """The only step of a training has a rate that is no tiny one."""
    assert one_cycle(0.5) > 0.5
    assert [one_cycle(done) for done in (0, 0.3, 1)] == pytest.approx([0.04, 1, 0])


@pytest.mark.parametrize(
    ("params", "n_rows", "n_images", "expected"),
    [
        ({}, 100, 1, 300),
        ({}, 2_500, 5, 15),  # 20 batches
        ({}, 50_000, 100, 2),
        ({}, 300_000, 600, 1),
        ({}, 5_000_000, 10_000, 1),
        ({"max_epochs": 7}, 300_000, 600, 7),
        ({"schedule": "constant", "batch_size": 512}, 10_000, 20, 50),
        ({"schedule": "constant", "batch_size": 512}, 300_000, 600, 4),
        ({"schedule": "constant", "batch_size": 512}, 600_000, 600, 2),
    ],
)
def test_number_of_epochs(params, n_rows, n_images, expected):
    """By default it depends on the schedule and on the number of rows."""
    params = ZoomoutClassifier(**params).get_params()
    assert count_epochs(params, n_rows, n_images) == expected


@pytest.mark.parametrize(
    ("params", "n_rows", "expected"),
    [
        ({}, 999, ()),
        ({}, 1000, (512,)),
        ({"max_epochs": 3}, 10, (512,)),
        ({"callbacks": [EarlyStopping("train_loss")]}, 10, (512,)),
        ({"hidden_units": np.array([4, 2])}, 10, (4, 2)),
        ({"hidden_units": ()}, 10_000, ()),
        ({"schedule": "constant"}, 10, (512,)),
    ],
)
def test_hidden_units(params, n_rows, expected):
    """Few rows get none by default, unless the training is to go in steps."""
    params = ZoomoutClassifier(**params).get_params()
    assert choose_hidden_units(params, n_rows) == expected


def test_presets_of_the_papers_train_at_a_constant_rate():
    """Their tables were measured with it."""
    for preset in ("arxiv2014", "cvpr2015"):
        params = zoomout_pipeline(preset)["classifier"].get_params()
        assert params["hidden_units"] == (1024,)
        assert params["schedule"] == "constant"
        assert (params["learning_rate"], params["batch_size"]) == (1e-4, 512)
    chosen = zoomout_pipeline("cvpr2015", schedule="one_cycle", learning_rate=1e-3)
    assert chosen["classifier"].schedule == "one_cycle"
    assert zoomout_pipeline()["classifier"].estimator.hidden_units == "auto"


def test_small_steps():
    """512 rows of the default are small; those of VGG-16 and 1,024 units are not."""
    assert is_small_step(512, [840, 512, 8])
    assert not is_small_step(512, [11_836, 1024, 8])


def test_default_classifier(data):
    """It fits a few superpixels by the solver, and many by a network."""
    few = ZoomoutClassifier(random_state=0).fit(*data)
    assert few.hidden_units_ == () and len(few.history_) == 1
    assert few.score(*data) > 0.95
    table, masks = make_data(n_images=60)
    many = ZoomoutClassifier(random_state=0).fit(table, masks)
    assert many.hidden_units_ == (512,) and len(many.history_) > 1
    assert many.score(table, masks) > 0.95
