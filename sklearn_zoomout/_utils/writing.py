"""Files that are written completely or not at all."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO


@contextmanager
def write_whole(path: Path, *, durable: bool = False) -> Iterator[IO[bytes]]:
    """Open a file for writing that replaces `path` only when it is complete.

    The bytes go to a temporary file in the same folder. It is renamed to `path` when
    the block ends, and removed if the block raises an error.

    Parameters
    ----------
    path : pathlib.Path
        The file to write. Its folder is created if it is missing.
    durable : bool, default=False
        Wait until the disk has the bytes before the file takes its name, so that a loss
        of power leaves the old file or the new one.

    Yields
    ------
    file : binary file
        The temporary file.

    Raises
    ------
    OSError
        If the folder cannot be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=path.parent, delete=False) as file:
        temporary = Path(file.name)
        try:
            yield file
            if durable:
                file.flush()
                os.fsync(file.fileno())
            file.close()
            temporary.chmod(0o644)  # the default of temporary files is 0o600
            temporary.replace(path)
            if durable:
                _sync_folder(path.parent)
        finally:
            temporary.unlink(missing_ok=True)


def _sync_folder(folder: Path) -> None:
    """Wait until the disk has the names of a folder, where the system can."""
    # Windows opens no folders, and some file systems cannot wait for them.
    with suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


@contextmanager
def replace_whole(path: Path) -> Iterator[Path]:
    """Give the path of a file or folder that replaces `path` when it is complete.

    It lies in a temporary folder next to `path`. It is moved when the block ends. If
    the block raises an error, the folder is removed and `path` stays as it was.

    Parameters
    ----------
    path : pathlib.Path
        The file or folder to write. Its parent is created if it is missing.

    Yields
    ------
    temporary : pathlib.Path
        What the block writes. It has the name of `path`.

    Raises
    ------
    OSError
        If the parent cannot be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=".") as folder:
        temporary = Path(folder) / path.name
        yield temporary
        if not path.is_dir():
            temporary.replace(path)
            return
        old = Path(folder) / "old"
        path.replace(old)
        try:
            temporary.replace(path)
        except OSError:
            old.replace(path)
            raise
