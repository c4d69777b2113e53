"""Folders that are continued: after a kill, by the same transformer only."""

import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from sklearn.pipeline import Pipeline
from stored_levels import FailsAt, Size, make_features

from sklearn_zoomout import (
    LocalConvnetFeatures,
    LocalFeatures,
    SuperpixelSegmenter,
    Training,
    open_features,
    store_features,
)
from sklearn_zoomout._utils import digests
from sklearn_zoomout.datasets import FileSequence, read_photograph

TESTS = Path(__file__).parents[1]


@pytest.mark.parametrize("stop", [72, 90])
def test_an_interrupted_call_continues_where_it_stopped(
    images, in_memory, folder, monkeypatch, stop
):
    """No finished image is computed again, and the result is the same."""
    features = make_features(level=FailsAt()).fit(images)
    monkeypatch.setattr(FailsAt, "width", stop)
    with pytest.raises(KeyboardInterrupt):
        store_features(features, images, folder, images_at_once=1)
    n_done = 1 if stop == 72 else 2
    with pytest.raises(ValueError, match=f"{n_done} of 4 images; call store_features"):
        open_features(folder)
    monkeypatch.setattr(FailsAt, "width", None)
    computed = []
    describe = Size.describe
    monkeypatch.setattr(
        Size,
        "describe",
        lambda self, item: computed.append(item.shape) or describe(self, item),
    )
    table = store_features(features, images, folder, images_at_once=2)
    assert computed == [image.shape[:2] for image in images[n_done:]]
    np.testing.assert_array_equal(table.to_numpy(), in_memory.to_numpy())


def test_a_finished_folder_is_not_written_again(features, images, folder):
    """The same call a second time only opens it."""
    store_features(features, images, folder)
    before = {path.name: path.stat().st_mtime_ns for path in folder.glob("*.*")}
    store_features(features, images, folder)
    after = {path.name: path.stat().st_mtime_ns for path in folder.glob("*.*")}
    assert before == after


def test_bytes_of_unfinished_images_are_overwritten(
    images, in_memory, folder, monkeypatch
):
    """The manifest tells how many bytes belong to finished images."""
    features = make_features(level=FailsAt()).fit(images)
    monkeypatch.setattr(FailsAt, "width", 90)
    with pytest.raises(KeyboardInterrupt):
        store_features(features, images, folder, images_at_once=2)
    for path in folder.glob("*.bin"):
        with open(path, "ab") as file:
            file.write(b"half a chunk")
    monkeypatch.setattr(FailsAt, "width", None)
    table = store_features(features, images, folder, images_at_once=2)
    np.testing.assert_array_equal(table.to_numpy(), in_memory.to_numpy())


def test_the_folder_of_a_killed_process_can_be_continued(
    images, in_memory, folder, tmp_path
):
    """The process gets SIGKILL while it computes an image."""
    paths = []
    for i, image in enumerate(images):
        paths.append(tmp_path / f"{i}.png")
        Image.fromarray(image).save(paths[-1])
    script = f"""
import os, signal, sys
sys.path.insert(0, {str(TESTS)!r})
from sklearn_zoomout import store_features
from sklearn_zoomout.datasets import FileSequence, read_photograph
from stored_levels import FailsAt, Size, make_features
FailsAt.describe = lambda self, item: (
    os.kill(os.getpid(), signal.SIGKILL) if item.shape[1] == 90
    else Size.describe(self, item)
)
images = FileSequence(read_photograph, {[str(path) for path in paths]!r})
features = make_features(level=FailsAt()).fit(images)
store_features(features, images, {str(folder)!r}, images_at_once=1)
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True)
    assert done.returncode == -9, done.stderr
    images = FileSequence(read_photograph, paths)
    features = make_features(level=FailsAt()).fit(images)
    table = store_features(features, images, folder)
    np.testing.assert_array_equal(table.to_numpy(), in_memory.to_numpy())


def test_a_kill_before_the_first_manifest_leaves_an_empty_folder(
    features, images, folder
):
    """The temporary file of the manifest is not a file of the user."""
    folder.mkdir()
    (folder / ".manifest.json.tmp").write_bytes(b'{"format": 4, "fin')
    assert len(store_features(features, images, folder)) == len(images)
    assert not list(folder.glob(".*"))


def test_features_of_other_settings_or_images_are_refused(features, images, folder):
    """The error says what differs: dtype, number or pixels of the images."""
    store_features(features, images, folder)
    with pytest.raises(ValueError, match="dtype was float32, now it is float16"):
        store_features(features, images, folder, dtype="float16")
    with pytest.raises(ValueError, match="n_images was 4, now it is 3"):
        store_features(features, images[:3], folder)
    changed = [*images[:2], images[2] ^ 1, images[3]]
    with pytest.raises(ValueError, match=r"images\[2\] has other pixels"):
        store_features(features, changed, folder)


def test_another_transformer_is_refused(features, images, folder):
    """The error shows both descriptions where they differ."""
    store_features(features, images, folder)
    for other in (make_features(31), make_features(level=Size(2.0))):
        with pytest.raises(ValueError, match="the transformer was Pipe.*now it is P"):
            store_features(other.fit(images), images, folder)


def fit_textons(images, masks):
    local = LocalFeatures(("texture",), n_textons=4, random_state=0)
    steps = [("superpixels", SuperpixelSegmenter(30)), ("local", local)]
    return Pipeline(steps).fit(images)


def fit_convnet(images, masks):
    net = LocalConvnetFeatures(
        cv=None, training=Training(max_steps=1, batch_size=4), random_state=0
    )
    steps = [("superpixels", SuperpixelSegmenter(30)), ("net", net)]
    return Pipeline(steps).fit(images, masks)


@pytest.mark.parametrize("fit", [fit_textons, fit_convnet])
def test_a_transformer_that_was_fitted_on_other_images_is_refused(
    images, masks, folder, fit
):
    """Its parameters are equal, but not what it has learned."""
    store_features(fit(images[:2], masks[:2]), images, folder)
    store_features(fit(images[:2], masks[:2]), images, folder)
    with pytest.raises(ValueError, match="Pipeline.* was fitted on other images"):
        store_features(fit(images[2:], masks[2:]), images, folder)


def test_another_version_of_the_code_is_refused(features, images, folder, monkeypatch):
    """A finished folder can be opened, but not continued."""
    store_features(features, images, folder)
    monkeypatch.setattr(digests, "__version__", "9.9")
    with pytest.raises(
        ValueError, match="fitted on other images.*or is of another version"
    ):
        store_features(features, images, folder)
    assert len(open_features(folder)) == len(images)


def test_the_settings_of_the_computation_may_change(features, images, folder):
    """More jobs, a cache or a progress bar give the same features."""
    store_features(features, images, folder)
    other = make_features().fit(images)
    other.set_params(superpixels__n_jobs=2, levels__n_jobs=2, verbose=True)
    other.set_params(levels__local__memory=folder.with_name("cache"))
    store_features(other, images, folder)


def test_a_transformer_that_cannot_be_hashed_is_refused(features, images, folder):
    """Nothing is written."""
    locked = make_features(level=Size(threading.Lock()))
    with pytest.raises(TypeError, match=r"Size\.factor: expected a value that can be"):
        store_features(locked, images, folder)
    assert not folder.exists()
