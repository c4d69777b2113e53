"""`FeatureCache`: its entries, its bound, and several processes that write to it."""

import io
import os
import shutil
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from cached_levels import entries

from sklearn_zoomout import FeatureCache
from sklearn_zoomout import cache as module
from sklearn_zoomout.cache import entry_key
from sklearn_zoomout.exceptions import CacheWarning

KEYS = [entry_key("state", str(i)) for i in range(400)]


def size(folder):
    return sum(path.stat().st_size for path in entries(folder))


def test_entry_is_what_was_put(tmp_path):
    """Values, dtype and shape are those that were put; other keys give None."""
    cache = FeatureCache(tmp_path / "new" / "folder")
    arrays = [np.arange(6, dtype=np.uint16).reshape(2, 3), np.float32([0.1])]
    for key, array in zip(KEYS[:2], arrays, strict=True):
        assert cache.get(key) is None
        assert key not in cache
        cache.put(key, array)
        assert key in cache
        got = cache.get(key)
        assert got.dtype == array.dtype
        np.testing.assert_array_equal(got, array)
    assert cache.get(KEYS[2]) is None


def test_entry_is_also_a_npy_file(tmp_path):
    """`numpy.load` reads it."""
    FeatureCache(tmp_path).put(KEYS[0], np.arange(3))
    np.testing.assert_array_equal(np.load(entries(tmp_path)[0]), [0, 1, 2])


WRITER = """
import sys, warnings
import numpy as np
from sklearn_zoomout.cache import FeatureCache
warnings.simplefilter("error")
folder, key, value = sys.argv[1:]
cache = FeatureCache(folder, max_bytes=100_000)
for i in range(100):
    cache.put(key, np.full(5_000, float(value)))
    seen = cache.get(key)
    assert seen is None or (seen == seen[0]).all() and seen[0] in (1, 2)
    cache.put(f"{i:02x}".ljust(64, value), np.zeros(2_000))
"""


def test_two_processes_on_one_folder(tmp_path):
    """Both write the same entry, which others displace; each read is complete."""
    writers = [
        subprocess.Popen(
            [sys.executable, "-c", WRITER, tmp_path, KEYS[0], value],
            stderr=subprocess.PIPE,
            text=True,
        )
        for value in ("1", "2")
    ]
    for writer in writers:
        _, error = writer.communicate()
        assert writer.returncode == 0, error
    assert 30_000 < size(tmp_path) <= 100_000
    assert all(
        FeatureCache(tmp_path).get(p.stem) is not None for p in entries(tmp_path)
    )
    assert not list((tmp_path / "tmp").iterdir())


def test_least_recently_used_entries_are_removed(tmp_path):
    """Of thirty entries ten fit: one that is read often, and the last ones."""
    array = np.zeros(1000)
    cache = FeatureCache(tmp_path, max_bytes=10 * 8160)
    for i, key in enumerate(KEYS[:30]):
        cache.put(key, array)
        path = tmp_path / key[:2] / f"{key}.npy"
        os.utime(path, (i, i))  # the clock of files is too coarse
        if i % 5 == 0:
            assert cache.get(KEYS[0]) is not None
        assert size(tmp_path) <= cache.max_bytes
    kept = [i for i, key in enumerate(KEYS[:30]) if key in cache]
    assert 9 <= len(kept) <= 10
    assert kept == [0, *range(30 - len(kept) + 1, 30)]


def test_bound_holds_although_the_folder_is_listed_rarely(tmp_path, monkeypatch):
    """Two writers of small entries exceed the bound by 10 % at most."""
    looks = []
    look = FeatureCache._remove_oldest
    monkeypatch.setattr(
        FeatureCache, "_remove_oldest", lambda self: looks.append(look(self))
    )
    array = np.zeros(4)
    caches = [FeatureCache(tmp_path, max_bytes=192 * 100) for _ in range(2)]
    for i, key in enumerate(KEYS):
        caches[i % 2].put(key, array)
        if i % 50 == 0:
            assert size(tmp_path) <= 1.1 * caches[0].max_bytes
    assert size(tmp_path) > 0.85 * caches[0].max_bytes
    assert 150 < len(looks) < 250  # every other write, on average


def test_only_files_of_the_cache_are_removed(tmp_path):
    """Other files stay, although they are old and large."""
    cache = FeatureCache(tmp_path, max_bytes=2 * 8160)
    cache.put(KEYS[0], np.zeros(1000))
    folder = tmp_path / KEYS[0][:2]
    foreign = [folder / "data.npy", tmp_path / "0a", folder / ".data.npy.tmp"]
    for path in foreign:
        path.write_bytes(bytes(10**5))
        os.utime(path, (0, 0))
    cache.put(KEYS[1], np.zeros(1000))
    assert all(path.exists() for path in foreign)


KILLED = """
import os, signal, sys
import numpy as np
from sklearn_zoomout import FeatureCache, cache
cache._checksum = lambda key, content: os.kill(os.getpid(), signal.SIGKILL)
FeatureCache(sys.argv[1]).put(sys.argv[2], np.zeros(1000))
"""


def test_the_first_write_removes_what_a_killed_process_left(tmp_path):
    """The folder may be small, the kill recent, and the entry another one."""
    pytest.importorskip("fcntl")
    done = subprocess.run([sys.executable, "-c", KILLED, tmp_path, KEYS[0]])
    assert done.returncode == -9
    (left,) = (path for path in tmp_path.rglob("*") if path.is_file())
    assert left.parent.name == "tmp"
    FeatureCache(tmp_path).put(KEYS[1], np.zeros(3))
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert files == entries(tmp_path) != []


def test_the_folder_can_be_deleted_while_an_entry_is_written(tmp_path, monkeypatch):
    """The entry is written again; no warning is given."""
    cache, write_whole, n_deleted = FeatureCache(tmp_path / "a"), module.write_whole, []

    @contextmanager
    def delete(path, **options):
        with write_whole(path, **options) as file:
            yield file
            if not n_deleted:
                n_deleted.append(shutil.rmtree(tmp_path / "a"))

    monkeypatch.setattr(module, "write_whole", delete)
    cache.put(KEYS[0], np.arange(3))
    assert n_deleted
    np.testing.assert_array_equal(cache.get(KEYS[0]), [0, 1, 2])


def test_the_folder_can_be_deleted_between_two_looks(tmp_path, monkeypatch):
    """A folder that is there and then is not is no file."""
    monkeypatch.setattr(os.path, "isdir", lambda path: False)
    monkeypatch.setattr(Path, "is_dir", lambda path: False)
    assert module.open_cache(tmp_path) is not None


def entry_of(array, **options):
    """The bytes of an entry of the first key, with a right checksum."""
    file = io.BytesIO()
    np.lib.format.write_array(file, array, **options)
    return file.getvalue() + module._checksum(KEYS[0], file.getvalue())


class Attack:
    def __reduce__(self):
        return (pytest.fail, ("code of an entry was run",))


HUGE = b"{'descr': '<f4', 'fortran_order': False, 'shape': (10**12,), }".replace(
    b"10**12", b"1000000000000"
)
HUGE = b"\x93NUMPY\x01\x00" + len(HUGE).to_bytes(2, "little") + HUGE
MALICIOUS = {
    "object": entry_of(np.array([Attack(), None])),
    "version 2": entry_of(np.zeros(3, np.float32), version=(2, 0)),
    "huge": HUGE + module._checksum(KEYS[0], HUGE),
    "no array": b"no array" + module._checksum(KEYS[0], b"no array"),
    "empty": module._checksum(KEYS[0], b""),
    "shape": entry_of(np.zeros((3, 1), np.float32)),
    "dtype": entry_of(np.zeros(3)),
    "structured": entry_of(np.zeros(3, [("a", "f4")])),
}


@pytest.mark.parametrize("content", MALICIOUS.values(), ids=MALICIOUS)
def test_an_entry_that_is_no_such_result_is_damaged(tmp_path, content):
    """Its checksum is right, but not its shape or type; it is never run."""
    cache = FeatureCache(tmp_path)
    cache.put(KEYS[0], np.zeros(3, np.float32))
    assert cache.get(KEYS[0], shape=(3,), dtype=np.floating) is not None
    entries(tmp_path)[0].write_bytes(content)
    with pytest.warns(CacheWarning, match="damaged"):
        assert cache.get(KEYS[0], shape=(3,), dtype=np.float32) is None


@pytest.mark.parametrize("shape", [(), (0,), (0, 3), (2, 3)])
@pytest.mark.parametrize("order", ["C", "F"])
def test_any_shape_and_order_is_kept(tmp_path, shape, order):
    """Also arrays without values; the result can be changed."""
    array = np.arange(np.prod(shape, dtype=int), dtype=np.uint8).reshape(shape)
    FeatureCache(tmp_path).put(KEYS[0], np.asarray(array, order=order))
    got = FeatureCache(tmp_path).get(KEYS[0], shape=shape, dtype=np.unsignedinteger)
    np.testing.assert_array_equal(got, array)
    got += 1


def test_entry_larger_than_the_bound_is_not_kept(tmp_path):
    """It would displace all others."""
    cache = FeatureCache(tmp_path, max_bytes=1000)
    cache.put(KEYS[0], np.zeros(10))
    with pytest.warns(CacheWarning, match="max_bytes is 1000; choose a far larger"):
        cache.put(KEYS[1], np.zeros(1000))
    assert [path.stem for path in entries(tmp_path)] == [KEYS[0]]


@pytest.mark.parametrize("max_bytes", [0, -1, 1.5, "1", True, None])
def test_bad_max_bytes_is_refused(max_bytes):
    """A bound is a positive integer."""
    with pytest.raises(
        ValueError, match=r"'max_bytes' parameter of FeatureCache must be an int"
    ):
        FeatureCache("folder", max_bytes)


def test_bad_folder_is_refused():
    """A folder is a path; an empty one would be the working directory."""
    with pytest.raises(TypeError, match="'folder' parameter of FeatureCache must be"):
        FeatureCache(3)
    with pytest.raises(ValueError, match="expected a path, got an empty string"):
        FeatureCache("")


def test_home_folder_is_found(monkeypatch, tmp_path):
    """A tilde in the path means the home folder."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    FeatureCache("~/cache").put(KEYS[0], np.zeros(3))
    assert len(entries(tmp_path / "cache")) == 1
