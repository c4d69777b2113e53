"""Damage of stored tables: found when it is read, and mended by `store_features`."""

import json
import pickle
import subprocess
import sys

import numpy as np
import pytest
from stored_levels import Size, make_features

from sklearn_zoomout import open_features, store_features
from sklearn_zoomout.exceptions import CacheWarning
from sklearn_zoomout.table import _checksums, _layout, _mend

FILES = ["block_0.bin", "block_1.bin", "segments.bin", "images.bin"]


def flip(path, position):
    content = bytearray(path.read_bytes())
    content[position] ^= 1 << position % 8
    path.write_bytes(content)


def read_all(table):
    return [table.to_numpy(), *(item.segments for item in table.superpixels)]


def assert_equal(table, expected):
    assert table.columns == expected.columns
    for one, other in zip(read_all(table), read_all(expected), strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.fixture
def stored(features, images, folder):
    """The folder of a table in which every image has its own checksums."""
    store_features(features, images, folder)
    return folder


@pytest.mark.parametrize("name", FILES)
def test_a_flipped_bit_is_found_and_mended(
    features, images, in_memory, stored, name, monkeypatch
):
    """The error names file, image and cure, which computes only that image."""
    size = (stored / name).stat().st_size
    for position in np.linspace(0, size - 1, 12).astype(int).tolist():
        flip(stored / name, position)
        with pytest.raises(
            ValueError,
            match=rf"{name}: .* images\[\d\].* is damaged.*call store_features again",
        ):
            read_all(open_features(stored))
        computed = []
        with monkeypatch.context() as counting:
            describe = Size.describe
            counting.setattr(
                Size,
                "describe",
                lambda *args: computed.append(args) or describe(*args),  # noqa: B023
            )
            with pytest.warns(CacheWarning, match="of 1 of 4 images was damaged"):
                table = store_features(features, images, stored)
        assert len(computed) == 1
        assert_equal(table, in_memory)
    store_features(features, images, stored)  # no warning


@pytest.mark.parametrize("name", ["block_0.bin", "segments.bin", "images.bin"])
@pytest.mark.parametrize("change", [-2, 2, None])
def test_a_file_of_another_size_is_refused_and_mended(
    features, images, in_memory, stored, name, change, recwarn
):
    """It is truncated, too long or missing. The error names it and says what to do."""
    path = stored / name
    if change is None:
        path.unlink()
    else:
        content = path.read_bytes()
        path.write_bytes(content[:change] if change < 0 else content + b"xx")
    with pytest.raises(ValueError, match=f"{name}: expected .* bytes.*damaged.*again"):
        open_features(stored)
    assert_equal(store_features(features, images, stored), in_memory)
    n_mended = {-2: "1", None: "4"}.get(change)
    assert [f"stored of {n_mended} of 4" in str(w.message) for w in recwarn] == (
        [True] if n_mended else []
    )


def test_everything_but_the_manifest_can_be_mended(features, images, in_memory, stored):
    """Also noise in all files; images are computed a few at a time."""
    for name in FILES:
        (stored / name).write_bytes(np.random.default_rng(0).bytes(3000))
    with pytest.warns(CacheWarning, match="of 4 of 4 images"):
        table = store_features(features, images, stored, images_at_once=3)
    assert_equal(table, in_memory)


def test_every_flip_in_the_manifest_is_found(features, images, in_memory, stored):
    """Or changes nothing, such as a blank that becomes a tab."""
    path = stored / "manifest.json"
    content = path.read_bytes()
    n_found = 0
    for position in range(0, len(content), 17):
        flip(path, position)
        try:
            table = open_features(stored)
        except ValueError as error:
            assert "manifest.json" in str(error) and "delete the folder" in str(error)
            n_found += 1
        else:
            assert_equal(table, in_memory)
            assert json.loads(path.read_bytes()) == json.loads(content)
        path.write_bytes(content)
    assert n_found > 0.9 * len(range(0, len(content), 17))


def test_only_what_is_read_is_checked_and_only_once(stored, images, monkeypatch):
    """Other images can be read although one is damaged."""
    n_rows = np.diff(open_features(stored).row_offsets)
    start = int(n_rows[:2].sum() * 4 * (len(open_features(stored).columns) - 2))
    flip(stored / "block_0.bin", start)
    table, calls = open_features(stored, images), []
    monkeypatch.setattr(
        _checksums, "checksum", lambda a, f=_checksums.checksum: calls.append(1) or f(a)
    )
    for _ in range(3):
        table[[0, 3]].to_numpy()
        table.select(["size"]).to_numpy()
        assert len(calls) == 6  # two images of both blocks, and two of one
    for read in (
        table.to_numpy,
        table[[1, 2]].compact,
        lambda: pickle.loads(pickle.dumps(table)).to_numpy(),
        lambda: store_features(Given(table), images, stored.with_name("other")),
    ):
        with pytest.raises(ValueError, match=r"block_0.bin: the part of images\[2\]"):
            read()


class Given:
    """Returns a table that is in files."""

    def __init__(self, table):
        self.table = table

    def transform(self, images):
        return self.table


def test_the_file_of_another_table_is_found(features, images, stored):
    """Its size may be right."""
    other = stored.with_name("other")
    doubled = make_features(level=Size(2.0)).fit(images)
    store_features(doubled, images, other)
    (other / "block_1.bin").replace(stored / "block_1.bin")
    with pytest.raises(ValueError, match=r"block_1.bin: the part of images\[0\]"):
        open_features(stored).to_numpy()


def test_a_record_in_the_place_of_another_is_found(stored):
    """Two images may have the same size."""
    path = stored / "images.bin"
    size = len(path.read_bytes()) // 4
    content = path.read_bytes()
    path.write_bytes(content[size : 2 * size] * 2 + content[2 * size :])
    with pytest.raises(ValueError, match=r"images.bin: the record of images\[0\]"):
        open_features(stored)


def test_an_interrupted_mending_is_continued(
    features, images, in_memory, stored, monkeypatch
):
    """What was written over is not what the record says."""
    for name in FILES[:3]:
        (stored / name).unlink()

    def interrupt(*args):
        raise KeyboardInterrupt

    monkeypatch.setattr(_mend, "_write_records", interrupt)
    with pytest.raises(KeyboardInterrupt):
        store_features(features, images, stored, images_at_once=2)
    monkeypatch.undo()
    with pytest.raises(ValueError, match="damaged"):
        open_features(stored)
    with pytest.warns(CacheWarning, match="damaged"):
        table = store_features(features, images, stored)
    assert_equal(table, in_memory)


def test_other_images_are_refused_before_anything_is_mended(features, images, stored):
    """Nothing is written over."""
    flip(stored / "block_0.bin", 5)
    before = {path.name: path.read_bytes() for path in stored.iterdir()}
    with pytest.raises(ValueError, match=r"images\[3\] has other pixels"):
        store_features(features, [*images[:3], images[3] ^ 1], stored)
    assert {path.name: path.read_bytes() for path in stored.iterdir()} == before


def test_superpixels_that_do_not_fit_any_more_are_refused(features, images, stored):
    """A transformer that gives other superpixels cannot mend an image."""
    flip(stored / "block_0.bin", 5)
    other = make_features(20).fit(images)
    manifest = _layout.read_manifest(stored)
    with pytest.raises(ValueError, match=r"images\[0\] is damaged.*does not fit"):
        _mend.mend_features(other, images, stored, manifest, 16, 0)


IMPOSSIBLE = """
import resource, sys
from pathlib import Path
import numpy as np
from sklearn_zoomout import open_features
from sklearn_zoomout.table import _layout
from sklearn_zoomout.table._checksums import checksums_of_records
resource.setrlimit(resource.RLIMIT_AS, (8 << 30, 8 << 30))
folder, entry = Path(sys.argv[1]), sys.argv[2]
manifest = _layout.read_manifest(folder)
if entry in manifest:
    manifest |= {entry: 10**12, "n_images": 10**12}
    _layout.write_manifest(folder, manifest)
else:
    records = _layout.read_records(folder, manifest)
    records[entry] = 10**12
    records["checksum"] = checksums_of_records(records)
    (folder / "images.bin").write_bytes(records.tobytes())
try:
    open_features(folder)
except ValueError as error:
    assert "damaged" in str(error), error
else:
    raise AssertionError
"""


@pytest.mark.parametrize("entry", ["n_done", "height", "width", "n_segments"])
def test_sizes_are_checked_before_memory_is_taken(stored, entry):
    """The checksums are right, but the files are far too small."""
    pytest.importorskip("resource")
    command = [sys.executable, "-c", IMPOSSIBLE, stored, entry]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
