"""Files that are written completely or not at all."""

import os
import subprocess
import sys
import threading
import time

import pytest

from sklearn_zoomout._utils import writing
from sklearn_zoomout._utils.writing import (
    remove_abandoned,
    replace_whole,
    write_whole,
)

needs_locks = pytest.mark.skipif(os.name == "nt", reason="Windows has no such locks")
KILLED = """
import os, signal, sys
from pathlib import Path
from sklearn_zoomout._utils.writing import replace_whole, write_whole
function = globals()[sys.argv[1]]
with function(Path(sys.argv[2])) as written:
    if sys.argv[1] == "write_whole":
        written.write(b"half")
        written.flush()
    else:
        written.write_bytes(b"half")
    if len(sys.argv) > 3:  # between the two moves of a folder
        os.rename(sys.argv[2], written.parent / "old")
    os.kill(os.getpid(), signal.SIGKILL)
"""


def kill_while_writing(function, path, *arguments):
    command = [sys.executable, "-c", KILLED, function, path, *arguments]
    assert subprocess.run(command).returncode == -9


def test_whole_file_takes_its_name_at_the_end(tmp_path):
    """The old file stays until the new one is complete."""
    path = tmp_path / "new" / "file"
    for content in (b"first", b"second"):
        with write_whole(path) as file:
            file.write(content)
            file.flush()
            assert not path.exists() or path.read_bytes() == b"first"
        assert path.read_bytes() == content
    assert path.stat().st_mode & 0o777 == 0o644
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_failure_leaves_the_old_file(tmp_path, error):
    """The old content stays, and no partial file is left."""
    path = tmp_path / "file"
    path.write_bytes(b"old")
    with pytest.raises(error), write_whole(path) as file:
        file.write(b"half")
        raise error
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_full_disk_leaves_the_old_file(tmp_path):
    """Bytes that were not written yet are no reason to keep the temporary file."""
    resource = pytest.importorskip("resource")
    path = tmp_path / "file"
    path.write_bytes(b"old")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2, before[1]))
    try:
        with pytest.raises(OSError), write_whole(path, durable=False) as file:
            file.write(b"a new file")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert [p.name for p in tmp_path.iterdir()] == ["file"]
    assert path.read_bytes() == b"old"


@pytest.mark.parametrize("folder", [False, True])
def test_a_path_is_replaced_when_it_is_complete(tmp_path, folder):
    """A file, or a folder with all files in it; nothing else stays."""
    path = tmp_path / "new" / "a"
    for content in ("old", "new"):
        with replace_whole(path) as temporary:
            if folder:
                temporary.mkdir()
            (temporary / content if folder else temporary).write_text(content)
    files = list((tmp_path / "new").iterdir())
    assert files == [path]
    if folder:
        files = list(path.iterdir())
    assert [file.read_text() for file in files] == ["new"]


def test_a_failure_leaves_the_old_path(tmp_path):
    """The temporary folder is removed."""
    path = tmp_path / "a"
    path.write_text("old")
    with pytest.raises(RuntimeError), replace_whole(path) as temporary:
        temporary.write_text("new")
        raise RuntimeError
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


@needs_locks
@pytest.mark.parametrize("function", ["write_whole", "replace_whole"])
def test_the_next_writer_takes_over_what_a_killed_one_left(tmp_path, function):
    """Each kill leaves one thing at most, and the next write leaves nothing."""
    path = tmp_path / "file"
    path.write_bytes(b"old")
    for _ in range(2):
        kill_while_writing(function, path)
        assert len(list(tmp_path.iterdir())) == 2
        assert path.read_bytes() == b"old"
    if function == "write_whole":
        with write_whole(path) as file:
            assert file.read() == b""
            file.write(b"new")
    else:
        with replace_whole(path) as temporary:
            assert not temporary.exists()
            temporary.write_bytes(b"new")
    assert path.read_bytes() == b"new"
    assert list(tmp_path.iterdir()) == [path]


@needs_locks
def test_a_folder_is_put_back_after_a_kill_between_two_moves(tmp_path):
    """The old folder has been moved away, and the new one is not there yet."""
    path = tmp_path / "a"
    path.mkdir()
    (path / "old").touch()
    kill_while_writing("replace_whole", path, "move")
    assert not path.exists()
    with pytest.raises(RuntimeError, match="in the middle"), replace_whole(path):
        assert (path / "old").exists()
        raise RuntimeError("in the middle")
    assert list(tmp_path.rglob("*")) == [path, path / "old"]


def test_a_second_writer_waits(tmp_path):
    """Two threads write the same file; each file is complete."""
    path, contents = tmp_path / "file", [bytes([i]) * 100_000 for i in range(4)]

    def write(content):
        for _ in range(20):
            with write_whole(path, durable=False) as file:
                for start in range(0, len(content), 10_000):
                    file.write(content[start : start + 10_000])
                    file.flush()
            assert path.read_bytes() in contents

    threads = [threading.Thread(target=write, args=(content,)) for content in contents]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert path.read_bytes() in contents
    assert list(tmp_path.iterdir()) == [path]


@needs_locks
def test_two_writers_of_a_large_file_are_refused(tmp_path):
    """The second could wait for hours."""
    path = tmp_path / "file"
    with replace_whole(path) as temporary:
        temporary.touch()
        with pytest.raises(RuntimeError, match=r"file: another process is writing"):
            replace_whole(path).__enter__()
    assert list(tmp_path.iterdir()) == [path]


@needs_locks
def test_only_abandoned_files_are_removed(tmp_path):
    """Not those that are being written, other names, folders, and links."""
    kill_while_writing("write_whole", tmp_path / "killed")
    (tmp_path / "other.tmp").touch()
    (tmp_path / ".folder.tmp").mkdir()
    (tmp_path / ".link.tmp").symlink_to(tmp_path / "other.tmp")
    with write_whole(tmp_path / "live"):
        remove_abandoned(tmp_path)
        names = {path.name for path in tmp_path.iterdir()}
        assert names == {".live.tmp", ".folder.tmp", ".link.tmp", "other.tmp"}
    assert (tmp_path / "live").exists()
    remove_abandoned(tmp_path / "missing")


@pytest.mark.parametrize("function", [write_whole, replace_whole])
def test_without_locks_names_are_random(tmp_path, monkeypatch, function):
    """Two writers do not meet, and nothing is left but by a kill."""
    monkeypatch.setattr(writing, "lock", lambda file, wait: False)
    path = tmp_path / "file"
    with function(path) as one, function(path) as other:
        for written, content in ((one, b"one"), (other, b"other")):
            if function is write_whole:
                written.write(content)
            else:
                written.write_bytes(content)
        assert len(list(tmp_path.iterdir())) == 2
    assert path.read_bytes() == b"one"
    assert path.stat().st_mode & 0o777 == 0o644
    assert list(tmp_path.iterdir()) == [path]


def test_without_locks_old_files_are_removed(tmp_path, monkeypatch):
    """A file is abandoned after an hour."""
    monkeypatch.setattr(writing, "lock", lambda file, wait: False)
    for name, age in ((".old.tmp", 4000), (".new.tmp", 3000)):
        (tmp_path / name).touch()
        os.utime(tmp_path / name, (time.time() - age,) * 2)
    remove_abandoned(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == [".new.tmp"]
