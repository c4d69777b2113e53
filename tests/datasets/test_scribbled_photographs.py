"""The scribbled photographs: what ships, what damaged files say, what they teach."""

import io
import shutil
import socket
from importlib.metadata import files
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy.ndimage import distance_transform_edt

from sklearn_zoomout import zoomout_pipeline
from sklearn_zoomout.datasets import (
    _scribbled_photographs as photographs,
)
from sklearn_zoomout.datasets import (
    load_scribbled_photographs,
)
from sklearn_zoomout.masks import distinct_labels
from sklearn_zoomout.metrics import class_accuracy, pixel_accuracy
from sklearn_zoomout.plotting import PALETTE

SHAPES = [(512, 512), (427, 640), (427, 640), (427, 640)]
STROKES = Path(photographs.__file__).parent


@pytest.fixture(scope="module")
def data():
    return load_scribbled_photographs()


@pytest.fixture
def strokes(tmp_path, monkeypatch):
    """A copy of the strokes that the loader reads, free to be damaged."""
    for kind in ("scribbles", "checks"):
        shutil.copytree(STROKES / kind, tmp_path / kind)
    monkeypatch.setattr(photographs, "_STROKES", tmp_path)
    return tmp_path


def test_shapes_and_dtypes(data):
    """Every photograph has its scribbles and checks, of its own size."""
    assert len(data.class_names) == 8
    assert len(data.filenames) == 4
    assert [image.shape for image in data.images] == [(*s, 3) for s in SHAPES]
    assert all(image.dtype == np.uint8 for image in data.images)
    for masks in (data.scribbles, data.checks):
        assert [mask.shape for mask in masks] == SHAPES
        assert all(mask.dtype == np.int16 for mask in masks)
    arrays = [*data.images, *data.scribbles, *data.checks]
    assert all(array.flags.writeable for array in arrays)
    assert "CC BY 2.0" in data.DESCR and "public domain" in data.DESCR


def test_scribbles_are_few_and_show_every_class(data):
    """They cover 1 to 4 % of each photograph, and every class can be checked."""
    for masks in (data.scribbles, data.checks):
        assert all(0.01 < np.mean(mask != -1) < 0.04 for mask in masks)
        for label in range(8):
            assert sum(np.sum(mask == label) for mask in masks) > 200


def test_checks_lie_apart_from_scribbles_of_the_same_classes(data):
    """No check is closer than 10 pixels to a scribble, or of a class without one."""
    for scribbles, checks in zip(data.scribbles, data.checks, strict=True):
        assert set(distinct_labels(checks)) == set(distinct_labels(scribbles))
        away = distance_transform_edt(scribbles == -1)
        assert away[checks != -1].min() > 10


def test_some_classes_are_in_several_photographs(data):
    """What is learned from one photograph can serve in another."""
    present = [distinct_labels(mask) for mask in data.scribbles]
    assert (np.bincount(np.concatenate(present)) > 1).sum() >= 4


def test_nothing_is_downloaded(monkeypatch):
    """The photographs are read from the installed packages."""

    def refuse(*args, **kwargs):
        raise OSError("the loader reached for the network")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    assert len(load_scribbled_photographs().images) == 4


@pytest.mark.parametrize("name", photographs._PHOTOGRAPHS)
def test_wheels_ship_the_photographs(name):
    """They are among the files that pip installed, not in some cache."""
    package, distribution = photographs._PHOTOGRAPHS[name]
    path = f"{package.replace('.', '/')}/{name}"
    assert path in {file.as_posix() for file in files(distribution)}


@pytest.mark.parametrize("kind", ["scribbles", "checks"])
def test_paint_programs_show_the_colors_of_the_plots(kind):
    """The files are small, one a photograph, with the palette of the figures."""
    paths = sorted((STROKES / kind).iterdir())
    stems = sorted(Path(name).stem for name in photographs._PHOTOGRAPHS)
    assert [path.name for path in paths] == [f"{stem}.png" for stem in stems]
    colors = [list(bytes.fromhex(color[1:])) for color in PALETTE[:8]]
    for path in paths:
        assert path.stat().st_size < 4096
        with Image.open(path) as picture:
            palette = np.reshape(picture.getpalette(), (-1, 3))
        assert palette[:8].tolist() == colors


def png(mode="P", size=(640, 427), index=255):
    """Return the bytes of a PNG of one color."""
    file = io.BytesIO()
    picture = Image.new(mode, size, index)
    if mode == "P":
        picture.putpalette(list(range(256)) * 3)
    picture.save(file, "PNG")
    return file.getvalue()


@pytest.mark.parametrize("kind", ["scribbles", "checks"])
@pytest.mark.parametrize(
    ("content", "error", "message"),
    [
        (b"", OSError, "comes with sklearn-zoomout; install"),
        (b"<html>", OSError, "cannot identify"),
        (png()[:-60], OSError, "cannot be read"),
        (png("RGB"), ValueError, "expected a picture with a palette.*'RGB'"),
        (png(size=(427, 640)), ValueError, r"expected \(427, 640\).*got \(640, 427\)"),
        (png(index=8), ValueError, "below 8, or 255 .* got 8"),
    ],
)
def test_damaged_strokes_are_named(strokes, kind, content, error, message):
    """Strokes that cannot be right are an error that names the file."""
    (strokes / kind / "china.png").write_bytes(content)
    with pytest.raises(error, match=message) as caught:
        load_scribbled_photographs()
    assert str(strokes / kind / "china.png") in str(caught.value)


def test_missing_strokes_are_named(strokes):
    """An incomplete installation says what to install again."""
    (strokes / "checks" / "rocket.png").unlink()
    with pytest.raises(OSError, match="rocket.png cannot be read.*sklearn-zoomout"):
        load_scribbled_photographs()


def test_missing_photograph_is_named(monkeypatch):
    """A dependency that no longer ships a photograph is named, nothing downloaded."""
    gone = {"gone.png": ("skimage.data", "scikit-image")}
    monkeypatch.setattr(photographs, "_PHOTOGRAPHS", gone)
    with pytest.raises(OSError, match="gone.png cannot be read.*with scikit-image"):
        load_scribbled_photographs()


def test_scribbles_teach_to_label_the_rest(data):
    """Two photographs, no convnet: far above the 45 % of always foliage."""
    images, scribbles, checks = (
        [data[key][i] for i in (1, 2)] for key in ("images", "scribbles", "checks")
    )
    model = zoomout_pipeline(
        levels=["local", "proximal"], n_segments=300, max_epochs=50, random_state=0
    )
    for level in ("local", "proximal"):  # 500 words take most of the time
        model.set_params(**{f"zoomout__{level}__n_words": 50})
    predictions = model.fit(images, scribbles).predict(images)
    assert pixel_accuracy(checks, predictions) > 0.7
    assert class_accuracy(checks, predictions) > 0.5
