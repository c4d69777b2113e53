"""Files that are written completely or not at all."""

import pytest

from sklearn_zoomout._utils.writing import replace_whole, write_whole


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
