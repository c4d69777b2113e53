"""Rows of the paper's levels are trained as by its presets, and others by default."""

import importlib
import sys
from pathlib import Path

import pytest

from sklearn_zoomout import ZoomoutClassifier, zoomout_pipeline

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
NAMES = ("schedule", "learning_rate", "batch_size")


@pytest.fixture
def load(monkeypatch):
    """Import a script of the benchmarks, without its options."""
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    monkeypatch.setattr(sys, "argv", ["benchmark"])
    return importlib.import_module


def training(model):
    return {name: getattr(model, name) for name in NAMES}


PAPER = training(zoomout_pipeline("arxiv2014")["classifier"])
DEFAULT = training(ZoomoutClassifier())


def test_the_paper_is_not_the_default(load):
    """PAPER_TRAINING has all that differs, except for the hidden units."""
    assert PAPER == load("_common").PAPER_TRAINING
    assert all(PAPER[name] != DEFAULT[name] for name in NAMES)


def test_few_images(load):
    """The four levels, and the preset "fast"."""
    script = load("few_images")
    levels = script.Levels(script.LEVELS, "zoomnet", None, None).classifier(0)
    assert (training(levels), levels.hidden_units) == (PAPER, (512,))
    fast = script.Levels(("distant", "global", "maps"), "zoomnet", None, 3)
    assert training(fast.classifier(0)) == DEFAULT
    tuned = script.FineTuned("zoomnet", None, 3, 100).classifier(0)
    assert (training(tuned), tuned.hidden_units, tuned.max_epochs) == (
        DEFAULT,
        "auto",
        3,
    )


def test_scribbles(load):
    """Pipelines that name levels, and the preset "fast"."""
    script = load("scribbles")
    models = [script.make_pipeline(options, 0)[-1] for _, options in script.METHODS]
    *of_levels, fast, _, _ = models
    assert [training(model) for model in of_levels] == 3 * [PAPER]
    assert training(fast.estimator) == DEFAULT


@pytest.mark.parametrize("rate", [None, 0.5])
def test_learning_rate(load, rate):
    """The option --learning-rate holds for all rows."""
    args = load("_common").default_options(learning_rate=rate)
    experiment = load("_experiment").Experiment(args)
    for settings in ({}, PAPER):
        model = experiment.classifier((8,), **settings)
        expected = (DEFAULT | settings) if rate is None else {"learning_rate": rate}
        assert training(model) == DEFAULT | settings | expected
