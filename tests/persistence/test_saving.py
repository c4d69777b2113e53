"""Where a model is written, what is left of an interruption, and its card."""

import dataclasses
import datetime
import hashlib
import os

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from sklearn_zoomout import load_model, model_info, save_model
from sklearn_zoomout.persistence import _save
from sklearn_zoomout.persistence._info import _in_units, _print


class TestPaths:
    """A file is complete, or as it was."""

    @pytest.mark.parametrize("kind", [str, os.fspath, lambda path: path])
    def test_path(self, model, content, tmp_path, kind):
        """Text or a path; folders are created, and a file is replaced."""
        path = tmp_path / "new" / "folder" / "model"
        for _ in range(2):
            save_model(model, kind(path))
            assert path.read_bytes() == content
            assert list(path.parent.iterdir()) == [path]
        load_model(kind(path))

    def test_folder(self, model, tmp_path):
        """A folder is no file."""
        with pytest.raises(IsADirectoryError, match="got a folder; add a name"):
            save_model(model, tmp_path)

    @pytest.mark.parametrize("name", ["os.fsync", "pathlib.Path.replace"])
    @pytest.mark.parametrize("error", [OSError, KeyboardInterrupt])
    def test_interruption(self, model, path, content, monkeypatch, name, error):
        """The old file stays, and nothing is left next to it."""

        def interrupt(*args, **kwargs):
            raise error

        monkeypatch.setattr(name, interrupt)
        with pytest.raises(error):
            save_model(model, path, notes="another file")
        monkeypatch.undo()
        assert path.read_bytes() == content
        assert list(path.parent.iterdir()) == [path]

    def test_full_disk(self, model, path, content, monkeypatch):
        """An error in the middle of the file."""

        def write_half(file, manifest, arrays):
            file.write(content[:1000])
            raise OSError("no space left")

        monkeypatch.setattr(_save, "write_container", write_half)
        with pytest.raises(OSError, match="no space"):
            save_model(model, path)
        assert path.read_bytes() == content
        assert list(path.parent.iterdir()) == [path]

    def test_folder_that_cannot_be_written(self, model, tmp_path):
        """A file in the place of a folder."""
        (tmp_path / "file").touch()
        with pytest.raises(OSError, match="file"):
            save_model(model, tmp_path / "file" / "model")


class TestInfo:
    """The card of a model."""

    def test_attributes(self, model, path, content):
        """What the file contains, without the arrays."""
        info = model_info(path)
        assert info.class_name == "Pipeline"
        assert info.classes == [0, 1, 2]
        assert info.n_columns == model[-1].n_features_in_
        assert info.n_images == model[0].n_images_ == 4
        assert info.largest_image == model[0].largest_image_
        assert "trained on 4 images of 3 channels, the largest of" in str(info)
        assert info.n_channels == 3
        assert info.size == len(content)
        assert 0 < info.n_bytes < info.size
        assert info.sha256 == hashlib.sha256(content).hexdigest()
        assert info.parameters["superpixels__n_segments"] == "40"
        assert "superpixels" not in info.parameters
        assert {"sklearn_zoomout", "scikit-learn", "numpy", "torch"} <= set(
            info.versions
        )
        assert info.format == 1
        assert "SuperpixelSegmenter(n_segments=40)" in info.model
        assert info.date.startswith("20")

    def test_what_was_passed(self, model, tmp_path):
        """Scores, notes and the date."""
        path = tmp_path / "model"
        save_model(
            model,
            path,
            scores={"mean IoU": np.float32(0.5), "n": 3},
            notes="Cells, 2nd batch",
            date=datetime.date(2024, 2, 3),
        )
        info = model_info(str(path))
        assert info.scores == {"mean IoU": 0.5, "n": 3.0}
        assert info.date == "2024-02-03"
        card = str(info)
        for part in (info.sha256, info.notes, info.date, "mean IoU 0.5", "0, 1, 2"):
            assert part in card
        assert repr(load_model(path)) == repr(model)

    @pytest.mark.parametrize(
        ("options", "match"),
        [
            ({"scores": 0.5}, "scores: expected names"),
            ({"scores": {"a": "b"}}, "scores: expected finite numbers"),
            ({"scores": {"a": float("nan")}}, "scores: expected finite numbers"),
            ({"notes": 1}, "notes: expected text"),
            ({"date": 2024}, "date: expected a date"),
        ],
    )
    def test_wrong_options(self, model, tmp_path, options, match):
        """They are refused before anything is written."""
        with pytest.raises((TypeError, ValueError), match=match):
            save_model(model, tmp_path / "model", **options)
        assert list(tmp_path.iterdir()) == []

    @pytest.mark.parametrize(
        ("n_bytes", "text"),
        [(50, "0.1 kB"), (999_900, "999.9 kB"), (10**6, "1.0 MB"), (3 * 10**9, "3000")],
    )
    def test_sizes(self, n_bytes, text):
        """In kilobytes below a megabyte."""
        assert _in_units(n_bytes).startswith(text)

    def test_missing_package(self, model, tmp_path, monkeypatch):
        """Its version is left out."""
        monkeypatch.setattr(_save, "_PACKAGES", ("numpy", "no-such-package"))
        save_model(model, tmp_path / "model")
        versions = model_info(tmp_path / "model").versions
        assert set(versions) == {"sklearn_zoomout", "numpy"}

    def test_own_print(self):
        """An estimator may print in its own way."""

        class Plain:
            def __repr__(self):
                return "Plain" * 5000

        assert _print(Plain()) == "Plain" * 2000

    def test_estimator_of_sklearn(self, tmp_path):
        """What is not known is left out."""
        save_model(LogisticRegression().fit([[0.0], [1.0]], ["a", "b"]), tmp_path / "m")
        info = model_info(tmp_path / "m")
        assert info.classes == ["a", "b"]
        assert info.largest_image is None
        assert "trained on" not in str(info)

    def test_no_class_is_imported(self, path, monkeypatch):
        """A card needs no classes, and so no trust."""

        def refuse(name):
            raise AssertionError(name)

        classes = "sklearn_zoomout.persistence._classes"
        monkeypatch.setattr(f"{classes}.import_module", refuse)
        assert model_info(path).classes == [0, 1, 2]


def test_a_card_prints_without_the_sizes_of_the_images(path):
    """A file of another program may not have them."""
    info = dataclasses.replace(model_info(path), largest_image=None)
    assert "trained on" not in str(info)
