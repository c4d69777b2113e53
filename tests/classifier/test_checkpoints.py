"""Checkpoints of the classifier: a fit that goes on equals one that never stopped."""

import numpy as np
import pytest
from checkpoints import InterruptAt, damage, interrupt, write_at_every_step
from labeled_tables import make_classifier, make_data, with_values
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV
from skorch.callbacks import EarlyStopping, EpochScoring, LRScheduler, ProgressBar

from sklearn_zoomout import LocalFeatures, ZoomoutClassifier, zoomout_pipeline
from sklearn_zoomout._utils import checkpoints
from sklearn_zoomout.exceptions import CheckpointWarning
from sklearn_zoomout.metrics import mean_iou_scorer

# 4 or 5 steps are an epoch.
PARAMS = {"dropout": 0.5, "max_epochs": 6}


@pytest.fixture
def every_step(monkeypatch):
    """Checkpoints after every step."""
    write_at_every_step(monkeypatch)


def make(folder, step=None, callbacks=(), **params):
    """A classifier with a folder of checkpoints, which may be interrupted at a step."""
    if step is not None:
        callbacks = [*callbacks, InterruptAt(step)]
    return make_classifier(
        checkpoint=folder, callbacks=list(callbacks) or None, **{**PARAMS, **params}
    )


def steps_of(classifier, data):
    """Fit a classifier, and return how many steps it took."""
    counter = InterruptAt(0)
    others = classifier.callbacks or []
    classifier.set_params(callbacks=[*others, counter]).fit(*data)
    return counter.n_steps


def assert_same(one, other):
    """The same weights to the last bit, and the same history but for its times."""
    for a, b in zip(
        one.net_.module_.state_dict().values(),
        other.net_.module_.state_dict().values(),
        strict=True,
    ):
        np.testing.assert_array_equal(a.numpy(), b.numpy())
    histories = [
        [{k: v for k, v in epoch.items() if k != "dur"} for epoch in model.history_]
        for model in (one, other)
    ]
    assert histories[0] == histories[1]


@pytest.mark.parametrize("step", [1, 4, 5, 6, 10, 23, 29])
@pytest.mark.parametrize(
    "params",
    [
        {},
        {"validation_fraction": 0.3},
        {"schedule": "constant", "hidden_units": (8, 8)},
    ],
    ids=["plain", "validation", "constant"],
)
def test_a_fit_that_goes_on_equals_one_that_never_stopped(
    data, tmp_path, every_step, step, params
):
    """Interrupted in the first epoch, within one, at the end of one, in the last."""
    whole = make(None, **params)
    n_steps = steps_of(whole, data)
    step = min(step, n_steps - 1)
    interrupted = make(tmp_path, step, **params)
    interrupt(interrupted.fit, *data)
    with pytest.raises(NotFittedError):
        interrupted.predict(data[0])
    assert len(list(tmp_path.iterdir())) == 1
    resumed = make(tmp_path, **params)
    assert steps_of(resumed, data) == n_steps - step
    assert_same(resumed, whole)


def test_a_table_in_files_goes_on_too(in_files, tmp_path, every_step, monkeypatch):
    """Within a window of rows, and at the end of the windows of an epoch."""
    monkeypatch.setattr(
        "sklearn_zoomout.classifier._batches.rows_of_window", lambda _: 100
    )
    rng = np.random.default_rng(0)
    masks = [rng.choice(3, s.n_segments)[s.segments] for s in in_files.superpixels]
    data = in_files, masks
    whole = make(None)
    n_steps = steps_of(whole, data)
    for step in (2, n_steps // 6, n_steps - 1):
        folder = tmp_path / str(step)
        interrupt(make(folder, step).fit, *data)
        resumed = make(folder)
        assert steps_of(resumed, data) == n_steps - step
        assert_same(resumed, whole)


def test_a_fit_may_be_interrupted_again_and_again(data, tmp_path, every_step):
    """Every part goes on where the one before stopped."""
    for _ in range(7):
        interrupt(make(tmp_path, 4).fit, *data)
    resumed = make(tmp_path)
    assert steps_of(resumed, data) == 30 - 7 * 4
    assert_same(resumed, make(None).fit(*data))


@pytest.mark.parametrize("step", [7, 26, 38])
def test_early_stopping_goes_on(data, tmp_path, every_step, step):
    """Its patience and its best weights are those of the whole training."""

    def stop():
        return EarlyStopping(patience=3, threshold=0, load_best=True)

    params = {
        "validation_fraction": 0.3,
        "schedule": "constant",
        "learning_rate": 0.3,
        "max_epochs": 60,
    }
    whole = make(None, callbacks=[stop()], **params).fit(*data)
    assert 4 < len(whole.history_) < 60
    interrupt(make(tmp_path, step, [stop()], **params).fit, *data)
    assert_same(make(tmp_path, callbacks=[stop()], **params).fit(*data), whole)
    again = make(tmp_path, callbacks=[stop()], **params)
    assert steps_of(again, data) == 0
    assert_same(again, whole)


def test_warm_start_goes_on(data, tmp_path, every_step):
    """From the weights of the earlier fit, which count for the name of the file."""
    table, masks = data
    earlier = make(None, warm_start=True).fit(table[:4], masks[:4])
    whole = fitted_again(earlier, data)
    interrupt(fitted_again, earlier, data, tmp_path, InterruptAt(9))
    assert_same(fitted_again(earlier, data, tmp_path), whole)
    other = make(None, warm_start=True, random_state=1).fit(table[:4], masks[:4])
    assert_same(fitted_again(other, data, tmp_path), fitted_again(other, data))


def fitted_again(earlier, data, folder=None, callback=None):
    """A copy of a fitted classifier, fitted again."""
    from copy import deepcopy

    classifier = deepcopy(earlier).set_params(checkpoint=folder)
    classifier.set_params(callbacks=callback and [callback])
    return classifier.fit(*data)


def test_a_finished_training_is_not_repeated(data, tmp_path):
    """Its file holds the weights alone, and gives the same classifier."""
    first = make(tmp_path).fit(*data)
    (path,) = tmp_path.iterdir()
    again = make(tmp_path)
    assert steps_of(again, data) == 0
    assert_same(again, first)
    n_weights = sum(p.numel() for p in first.net_.module_.parameters())
    assert path.stat().st_size < 4 * n_weights + 4000


def test_checkpoints_are_written_after_every_epoch(data, tmp_path, monkeypatch):
    """And in between, when time has passed; less often if writing takes long."""
    monkeypatch.setattr(checkpoints, "_TIMES", 0)
    interrupt(make(tmp_path / "within", 4).fit, *data)
    assert not (tmp_path / "within").exists()
    interrupt(make(tmp_path / "late", 9).fit, *data)
    assert steps_of(make(tmp_path / "late"), data) == 30 - 5
    monkeypatch.setattr(checkpoints, "_TIMES", 1e9)
    interrupt(make(tmp_path / "slow", 19).fit, *data)
    assert steps_of(make(tmp_path / "slow"), data) == 30 - 5


@pytest.mark.parametrize(
    "params",
    [
        {"learning_rate": 0.01},
        {"hidden_units": (9,)},
        {"class_weight": None},
        {"random_state": 1},
        {"max_epochs": 7},
        {"standardize": False},
        {"callbacks": [EarlyStopping("train_loss", patience=50)]},
    ],
    ids=lambda params: next(iter(params)),
)
def test_another_fit_starts_from_its_beginning(data, tmp_path, every_step, params):
    """The checkpoint of a fit with other parameters is left for that fit."""
    interrupt(make(tmp_path, 9).fit, *data)
    other = make(tmp_path, **params).fit(*data)
    assert_same(other, make(None, **params).fit(*data))
    assert len(list(tmp_path.iterdir())) == 2
    assert steps_of(make(tmp_path), data) == 30 - 9


def test_other_data_start_from_their_beginning(data, tmp_path, every_step):
    """One value, one label or the order of the images makes another fit."""
    table, masks = data

    def change(values):
        values[5, 1] += 1e-6
        return values

    relabeled = [masks[0].copy(), *masks[1:]]
    relabeled[0][:3, :3] = 20
    interrupt(make(tmp_path, 9).fit, *data)
    for other in (
        (with_values(table, change), masks),
        (table, relabeled),
        (table[[2, 1, 0, 3, 4, 5]], [masks[i] for i in (2, 1, 0, 3, 4, 5)]),
    ):
        assert steps_of(make(tmp_path), other) == 30
    assert steps_of(make(tmp_path), data) == 30 - 9


def test_what_does_not_change_the_weights_may_change(data, tmp_path, capsys):
    """The checkpoint is found, and verbose tells where the training goes on."""
    interrupt(make(tmp_path, 9).fit, *data)
    make(tmp_path, verbose=1).fit(*data)
    (path,) = tmp_path.iterdir()
    assert f"classifier: goes on at step 5, from {path}\n" in capsys.readouterr().out
    make(tmp_path, verbose=1).fit(*data)
    assert f"classifier: is trained, from {path}\n" in capsys.readouterr().out


def test_a_damaged_checkpoint_is_noticed(data, tmp_path):
    """The training starts anew, with a warning."""
    interrupt(make(tmp_path, 9).fit, *data)
    (path,) = tmp_path.iterdir()
    damage(path, -1)
    resumed = make(tmp_path)
    with pytest.warns(CheckpointWarning, match="damaged .* from its beginning"):
        assert steps_of(resumed, data) == 30
    assert_same(resumed, make(None).fit(*data))


def test_other_versions_are_refused(data, tmp_path, monkeypatch):
    """The training would come to other weights; the error names what differs."""
    interrupt(make(tmp_path, 9).fit, *data)
    monkeypatch.setattr(checkpoints, "version", lambda package: f"{package}-0")
    with pytest.raises(ValueError, match=r"torch was \S+, now it is torch-0.*delete"):
        make(tmp_path).fit(*data)


def test_a_checkpoint_needs_a_seed(data, tmp_path):
    """Without one, no two fits are the same."""
    with pytest.raises(ValueError, match="checkpoint: expected a random_state, got No"):
        make(tmp_path, random_state=None).fit(*data)
    make(tmp_path, random_state=np.random.RandomState(0)).fit(*data)


@pytest.mark.parametrize("folder", ["", "file"])
def test_a_checkpoint_is_a_folder(data, tmp_path, folder):
    """A file, or nothing, is refused before any work."""
    path = folder and tmp_path / folder
    if path:
        path.touch()
    with pytest.raises(ValueError, match="checkpoint: expected a folder, got '"):
        make(path).fit(data[0], None)


def test_callbacks_whose_state_is_not_kept(data, tmp_path):
    """Those of skorch are refused, but EarlyStopping."""
    for callback, params in (
        (LRScheduler("StepLR", step_size=1), {"schedule": "constant"}),
        (ProgressBar(), {}),
    ):
        name = type(callback).__name__
        with pytest.raises(ValueError, match=rf"callbacks\[0\]: .* got {name}; leave"):
            make(tmp_path, callbacks=[callback], **params).fit(*data)
    with pytest.raises(ValueError, match="predicts single rows"):
        make(tmp_path, callbacks=[EpochScoring("accuracy")]).fit(*data)


def test_a_search_goes_on(tmp_path, every_step):
    """Folds and candidates that are trained are not trained again."""
    data = make_data(n_images=8)
    grid = {"hidden_units": [(4,), (8,)]}

    def search(classifier):
        return GridSearchCV(classifier, grid, scoring=mean_iou_scorer, cv=2)

    whole = search(make(None)).fit(*data)
    interrupt(search(make(tmp_path, callbacks=[Shared(70)])).fit, *data)
    left, total = Shared(0), Shared(0)
    resumed = search(make(tmp_path, callbacks=[left])).fit(*data)
    search(make(None, callbacks=[total])).fit(*data)
    assert left.n_steps == total.n_steps - 70
    np.testing.assert_array_equal(
        resumed.cv_results_["mean_test_score"], whole.cv_results_["mean_test_score"]
    )
    assert_same(resumed.best_estimator_, whole.best_estimator_)


class Shared(InterruptAt):
    """One callback in all copies that a search makes of a classifier."""

    def __sklearn_clone__(self):
        return self


def test_a_pipeline_passes_the_folder_on(tmp_path):
    """To the classifier and to the local convnets, and to clones of both."""
    model = clone(
        zoomout_pipeline(
            "arxiv2014", backbone="zoomnet", checkpoint=tmp_path, random_state=0
        )
    )
    assert model["classifier"].checkpoint == tmp_path
    levels = dict(model["zoomout"].transformer_list)
    assert levels["local_convnet"].training.checkpoint == tmp_path
    assert isinstance(levels["local"], LocalFeatures)


def test_a_solver_writes_nothing(data, tmp_path):
    """It is done in a moment."""
    ZoomoutClassifier((), checkpoint=tmp_path, random_state=0).fit(*data)
    assert list(tmp_path.iterdir()) == []
