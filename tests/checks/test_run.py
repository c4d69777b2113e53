"""How the checks are run: in one call, one by one, or as tests of pytest."""

import os
import subprocess
import sys
from pathlib import Path
from unittest import SkipTest

import numpy as np
import pytest
from broken_transformers import FitReturnsNothing, Prints
from sklearn.exceptions import EstimatorCheckFailedWarning, SkipTestWarning
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline
from toy_estimators import ToyClassifier, ToyLevel, ToyRegionLevel, ToySegmenter

from sklearn_zoomout.checks import (
    KINDS,
    check_image_estimator,
    image_checks_generator,
    kind_of_estimator,
    parametrize_with_image_checks,
)
from sklearn_zoomout.datasets import make_scenes

ROOT = Path(__file__).parents[2]
TOYS = [
    ToySegmenter(),
    ToyLevel(),
    ToyRegionLevel(),
    ToyClassifier(),
    Pipeline([("level", ToyLevel()), ("classifier", ToyClassifier())]),
    Pipeline(
        [
            ("superpixels", ToySegmenter()),
            ("level", ToyLevel()),
            ("classifier", ToyClassifier()),
        ]
    ),
]

# Runs every check but those of processes on the estimators that it must find wrong.
UNDER_OPTIMIZATION = """
import broken_labelers, broken_transformers
from test_broken import kind_of, make
from sklearn_zoomout.checks import image_checks_generator

assert False, "this line is left out"
n_found = 0
for module in (broken_labelers, broken_transformers):
    for name, many in module.BROKEN.items():
        if name.startswith("backend") or name == "no_assert_statement":
            continue
        for broken in many:
            pairs = image_checks_generator(make(broken), kind=kind_of(broken))
            checks = {check.__name__: check for _, check in pairs}
            try:
                checks[f"check_{name}"](make(broken))
            except AssertionError:
                n_found += 1
            else:
                raise SystemExit(f"check_{name} does not find {broken.__name__}")
print(n_found)
"""


@pytest.fixture
def few_checks(monkeypatch):
    """Run only two checks, of which one does not apply to a `ToyLevel`."""
    from sklearn_zoomout.checks import _fitting, _run

    checks = [_fitting.check_fit_returns_self, _fitting.check_memory]
    monkeypatch.setattr(_run, "checks_of", lambda kind: iter(checks))


@parametrize_with_image_checks(TOYS)
def test_estimators_of_a_user_pass(estimator, check):
    """Right estimators that know only what is public pass every check."""
    check(estimator)


@pytest.mark.slow
@pytest.mark.parametrize("toy", TOYS, ids=kind_of_estimator)
def test_at_least_ninety_checks_run(toy):
    """Nearly all of the checks of a kind apply to an estimator."""
    n_run = 0
    for estimator, check in image_checks_generator(toy):
        if check.__name__.startswith("check_backend"):
            n_run += 1  # they are slow, and in the test above
            continue
        try:
            check(estimator)
            n_run += 1
        except SkipTest:
            pass
    assert n_run >= 90


def test_results_are_those_of_sklearn(few_checks):
    """Dictionaries with the keys of check_estimator, and a summary that prints."""
    results = check_image_estimator(ToyLevel())
    assert [result["status"] for result in results] == ["passed", "skipped"]
    assert list(results[0]) == [
        *("estimator", "check_name", "exception", "status"),
        *("expected_to_fail", "expected_to_fail_reason"),
    ]
    assert results[0]["check_name"] == "check_fit_returns_self"
    assert results.n_run == 1
    text = "1 checks ran of a level: 1 passed, 0 failed, 1 skipped, 0 xfail"
    assert repr(results) == text


def test_the_first_failure_is_raised(few_checks):
    """As scikit-learn does by default."""
    with pytest.raises(AssertionError, match="fit does not return self"):
        check_image_estimator(FitReturnsNothing(), kind="level")


def test_failures_are_warned_of(few_checks):
    """And the other checks go on."""
    with pytest.warns(EstimatorCheckFailedWarning, match="does not return self"):
        results = check_image_estimator(
            FitReturnsNothing(), kind="level", on_fail="warn"
        )
    assert results.counts == {"passed": 0, "failed": 1, "skipped": 1, "xfail": 0}


def test_failures_are_in_the_results(few_checks):
    """With on_fail=None nothing is raised, and a callback sees every result."""
    seen = []
    results = check_image_estimator(
        FitReturnsNothing(),
        kind="level",
        on_fail=None,
        callback=lambda **result: seen.append(result),
    )
    assert seen == list(results)
    assert isinstance(results[0]["exception"], AssertionError)
    assert "check_fit_returns_self: fit does not return self" in repr(results)


def test_expected_failures(few_checks):
    """They are neither raised nor counted as failed, and keep their reason."""
    expected = {"check_fit_returns_self": "the class is old"}
    (first, _) = check_image_estimator(
        FitReturnsNothing(), kind="level", expected_failed_checks=expected
    )
    assert first["status"] == "xfail"
    assert first["expected_to_fail_reason"] == "the class is old"


def test_skipped_checks_are_warned_of(few_checks):
    """If the caller wants it."""
    with pytest.warns(SkipTestWarning, match="check_memory does not apply"):
        check_image_estimator(ToyLevel(), on_skip="warn")


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"expected_failed_checks": {"check_fit": "x"}}, "names of checks that run"),
        ({"callback": print}, "callback: expected None with on_fail='raise'"),
        ({"on_fail": "print"}, "on_fail: expected 'raise'"),
        ({"on_skip": "raise"}, "on_skip: expected 'warn'"),
        ({"kind": "network"}, "kind: expected one of"),
        ({"images": [np.zeros((8, 8, 3))]}, "expected both or none"),
        ({"images": [0] * 3, "masks": [0] * 3}, "at least 4"),
    ],
)
def test_wrong_parameters_are_refused(options, says):
    """Before any check runs."""
    options = {"kind": "level"} | options
    with pytest.raises(ValueError, match=says):
        check_image_estimator(ToyLevel(), **options)


def test_a_class_is_refused():
    """Instances are checked, with their parameters."""
    with pytest.raises(TypeError, match=r"got the class ToyLevel; pass ToyLevel\(\)"):
        check_image_estimator(ToyLevel)


def test_other_estimators_have_no_kind():
    """An estimator of tables of numbers is told so, with what was tried."""
    with pytest.raises(
        TypeError, match=r"expected an estimator of images(.|\n)*table:"
    ):
        kind_of_estimator(LogisticRegression())


def test_kinds_have_different_checks():
    """Each kind is checked for what it takes and returns."""
    names = {
        kind: {c.__name__ for _, c in image_checks_generator(ToyLevel(), kind=kind)}
        for kind in KINDS
    }
    assert "check_classes" in names["classifier"] - names["level"]
    assert "check_feature_union" in names["level"] - names["classifier"]
    assert "check_nan_image_is_refused" in names["pipeline"] - names["classifier"]


def test_own_images(few_checks):
    """The checks run on images and masks of the user."""
    images, masks = make_scenes(n_images=4, size=(48, 48), random_state=0)
    results = check_image_estimator(ToyLevel(), images=images, masks=masks)
    assert results.n_run == 1


def test_the_estimator_is_not_changed(few_checks):
    """Checks work on copies."""
    level = ToyLevel()
    before = dict(vars(level))
    check_image_estimator(level)
    assert vars(level) == before


def test_expected_failures_are_marked(few_checks):
    """parametrize_with_image_checks marks them for pytest."""
    reason = {"check_fit_returns_self": "the class is old"}
    mark = parametrize_with_image_checks(
        [FitReturnsNothing()], kind="level", expected_failed_checks=lambda _: reason
    )
    first, second = mark.mark.args[1]
    assert [m.name for m in first.marks] == ["xfail"] and not second.marks
    assert first.id == "FitReturnsNothing-check_fit_returns_self"


@pytest.mark.slow
def test_checks_work_under_optimization():
    """``python -O`` leaves assert statements out, and faults are found all the same."""
    paths = ROOT, ROOT / "tests", ROOT / "tests" / "checks"
    done = subprocess.run(
        [sys.executable, "-O", "-c", UNDER_OPTIMIZATION],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(map(str, paths))},
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert int(done.stdout) > 130


def test_printing_is_caught_for_the_user():
    """A single check can be run by hand."""
    checks = {c.__name__: c for _, c in image_checks_generator(Prints(), kind="level")}
    with pytest.raises(AssertionError, match="it prints 'fitting"):
        checks["check_nothing_is_printed"](Prints())
