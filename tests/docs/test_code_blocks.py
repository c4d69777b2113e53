"""Every block of Python code in README.md and the documentation runs as it stands."""

import inspect
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from documentation_pages import ROOT, list_pages, read_blocks
from PIL import Image

from sklearn_zoomout import (
    FineTuning,
    PixelFusion,
    Training,
    ZoomoutClassifier,
    datasets,
)
from sklearn_zoomout.datasets import load_scribbled_photographs, make_scenes

PAGES = [page for page in list_pages() if read_blocks(page)]
# Their code takes more than twenty seconds.
LONG = {"choose_a_model", "cluster", "fine_tune", "sklearn", "train"}


@pytest.fixture
def stand_in(tmp_path, monkeypatch):
    """What the pages take for granted, small: data, folders, and short training.

    Names: ``images`` and ``masks`` (5, classes 0 to 6), ``test_images`` and
    ``test_masks`` (2), ``new_images`` (the same 2), ``image`` and ``mask`` (1), all
    made-up scenes of 64 x 80 pixels. Folders: ``photographs`` and ``new_photographs``
    (.jpg), ``strokes`` (.png, 255 where there is no stroke) and ``masks`` (.png).
    `load_scribbled_photographs` returns two photographs, in a sixth of their height and
    width. Networks are trained in 2 epochs or steps unless a block says otherwise.
    """
    monkeypatch.chdir(tmp_path)
    limit_training(monkeypatch)
    monkeypatch.setattr(datasets, "load_scribbled_photographs", small_photographs)
    images, masks = make_scenes(n_images=7, size=(64, 80), random_state=0)
    for folder, pictures in [
        ("photographs", images[:5]),
        ("masks", masks[:5]),
        ("strokes", [strokes_of(mask) for mask in masks[:5]]),
        ("new_photographs", images[5:]),
    ]:
        suffix = ".jpg" if "photo" in folder else ".png"
        write_pictures(tmp_path / folder, pictures, suffix)
    plt = pytest.importorskip("matplotlib.pyplot")
    plt.switch_backend("Agg")
    yield {
        "__name__": "page",
        "images": images[:5],
        "masks": masks[:5],
        "test_images": images[5:],
        "test_masks": masks[5:],
        "new_images": images[5:],
        "image": images[5],
        "mask": masks[5],
    }
    plt.close("all")


def limit_training(monkeypatch):
    """Let networks be trained in 2 epochs or steps by default, and forests be small."""
    defaults = ZoomoutClassifier.__init__.__kwdefaults__
    monkeypatch.setitem(defaults, "max_epochs", 2)
    monkeypatch.setitem(PixelFusion.__init__.__kwdefaults__, "n_pixels", 300)
    monkeypatch.setattr("sklearn_zoomout.postprocessing._pixel_model._STEPS", 20)
    for settings in (Training, FineTuning):
        names = list(inspect.signature(settings).parameters)
        values = list(settings.__init__.__defaults__)
        values[names.index("max_steps")] = 2
        monkeypatch.setattr(settings.__init__, "__defaults__", tuple(values))


def small_photographs():
    """Return two of the scribbled photographs, small."""
    data = load_scribbled_photographs()
    for name in ("images", "scribbles", "checks"):
        data[name] = [np.ascontiguousarray(array[::6, ::6]) for array in data[name][:2]]
    return data


def strokes_of(mask):
    """Return a mask with labels in every eighth row and 255 elsewhere."""
    strokes = np.full_like(mask, 255)
    strokes[::8] = mask[::8]
    return strokes


def write_pictures(folder, pictures, suffix):
    """Write arrays as 0.png, 1.png, ... or the like."""
    folder.mkdir()
    for i, picture in enumerate(pictures):
        Image.fromarray(np.asarray(picture, np.uint8)).save(folder / f"{i}{suffix}")


@pytest.mark.filterwarnings(
    "ignore::sklearn_zoomout.exceptions.SuperpixelWarning",
    "ignore::sklearn_zoomout.exceptions.ScaleWarning",
    "ignore::sklearn_zoomout.exceptions.AbsentClassWarning",
    "ignore::sklearn_zoomout.exceptions.FewIslandsWarning",
)
@pytest.mark.parametrize(
    "page",
    [
        pytest.param(page, marks=[pytest.mark.slow] if page.stem in LONG else [])
        for page in PAGES
    ],
    ids=lambda page: str(page.relative_to(ROOT)),
)
def test_blocks_of_a_page_run_in_order(page, stand_in):
    """A reader who pastes the blocks of a page one after the other gets no error."""
    for block in read_blocks(page):
        # Empty lines before it, so that a traceback names the line of the page.
        code = "\n" * (block.line - 1) + block.code
        if "__main__" in code:
            run_as_a_script(code)
        else:
            exec(compile(code, str(page), "exec"), stand_in)


def run_as_a_script(code):
    """Run code as a file, which the processes that it starts can import."""
    script = Path("script.py")
    script.write_text(code)
    done = subprocess.run(
        [sys.executable, str(script)], capture_output=True, text=True, timeout=900
    )
    assert done.returncode == 0, done.stderr


def test_every_fence_is_a_block_or_a_command():
    """No block of code escapes the tests by another name of its language."""
    languages = {"", "text", "toml", "python", "{eval-rst}", "{toctree}", "{include}"}
    for page in list_pages():
        fences = [
            line[3:].split()[0] if line[3:].split() else ""
            for line in page.read_text().splitlines()
            if line.startswith("```")
        ]
        opened = fences[::2]
        assert set(opened) <= languages, page
        assert opened.count("python") == len(read_blocks(page)), page
