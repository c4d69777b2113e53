"""Files that are written completely or not at all.

What is being written has a temporary name, which is locked: ``.NAME.tmp`` of a file,
``.NAME.parts`` of a folder. A process that is killed leaves it without the lock. The
next one that writes the same file takes it over, so that nothing stays for good. Where
the system has no locks, as on Windows, temporary names are random instead.
"""

import os
import shutil
import stat
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

_SUFFIX = ".tmp"
# Seconds after which a file belongs to a process that was killed, without locks.
_ABANDONED = 3600


@contextmanager
def write_whole(
    path: Path, *, durable: bool = True, folder: Path | None = None
) -> Iterator[IO[bytes]]:
    """Open a file for writing that replaces `path` only when it is complete.

    The bytes go to a temporary file. It is renamed to `path` when the block ends, and
    removed if the block raises an error. A second writer of the same file waits.

    Parameters
    ----------
    path : pathlib.Path
        The file to write. Its folder is created if it is missing.
    durable : bool, default=True
        Wait until the disk has the bytes before the file takes its name, so that a loss
        of power leaves the old file or the new one.
    folder : pathlib.Path, default=None
        The folder of the temporary file, on the same disk. None is that of `path`.

    Yields
    ------
    file : binary file
        The temporary file.

    Raises
    ------
    OSError
        If the folder cannot be written.
    """
    folder = folder or path.parent
    for needed in (path.parent, folder):
        needed.mkdir(parents=True, exist_ok=True)
    temporary, file = _open_temporary(folder, path.name)
    with file:
        own = os.fstat(file.fileno())
        try:
            yield file
            file.flush()
            if durable:
                os.fsync(file.fileno())
            if os.name == "nt":  # it renames no open files
                file.close()
            temporary.replace(path)
        finally:
            if _is_named(own, temporary):
                with suppress(OSError):  # a full disk does not take the last bytes
                    file.close()
                temporary.unlink()
    if durable:
        _sync(path.parent)


def remove_abandoned(folder: Path) -> None:
    """Remove the temporary files of processes that were killed.

    Parameters
    ----------
    folder : pathlib.Path
        The folder of temporary files. It may be missing.
    """
    for path in folder.glob(f".*{_SUFFIX}"):
        with suppress(OSError):  # it is being written, or another process removed it
            status = path.lstat()
            if not stat.S_ISREG(status.st_mode):
                continue
            with _open(path, os.O_RDWR) as file:
                locked = lock(file, wait=False)
                old = time.time() - status.st_mtime > _ABANDONED
                if (locked or old) and _is_named(os.fstat(file.fileno()), path):
                    path.unlink()


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
    RuntimeError
        If another process is writing `path`.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with _temporary_folder(path) as folder:
        temporary, old = folder / path.name, folder / "old"
        yield temporary
        for part in (temporary, *temporary.rglob("*")):
            _sync(part)
        if path.is_dir():
            path.replace(old)
        try:
            temporary.replace(path)
        except OSError:
            if old.exists():
                old.replace(path)
            raise
        _sync(path.parent)


def lock(file: IO[bytes], *, wait: bool) -> bool:
    """Lock a file for other processes, until it is closed.

    Parameters
    ----------
    file : file
        It is open for writing.
    wait : bool
        Whether to wait for a process that has locked it.

    Returns
    -------
    bool
        False if the system cannot lock files.

    Raises
    ------
    BlockingIOError
        If another process has locked the file, and ``wait`` is false.
    """
    try:
        import fcntl
    except ImportError:  # Windows
        return False
    try:
        fcntl.flock(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except BlockingIOError:
        raise
    except OSError:  # some network file systems
        return False
    return True


def _open(path: Path, flags: int) -> IO[bytes]:
    """Open a file that others may read, but not through a link."""
    extra = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)
    return os.fdopen(os.open(path, flags | extra, 0o666), "r+b")


def _is_named(status: os.stat_result, path: Path) -> bool:
    """Whether an open file still has its name: another process may have removed it."""
    try:
        return os.path.samestat(status, path.lstat())
    except FileNotFoundError:
        return False


def _open_temporary(folder: Path, name: str) -> tuple[Path, IO[bytes]]:
    """Open the temporary file of a name, as an empty file that this process owns."""
    path, locked = folder / f".{name}{_SUFFIX}", os.name != "nt"
    while locked:
        file = _open(path, os.O_RDWR | os.O_CREAT)
        try:
            locked = lock(file, wait=True)
            if _is_named(os.fstat(file.fileno()), path):
                if locked:
                    file.truncate(0)
                    return path, file
                path.unlink()
        except BaseException:
            file.close()
            raise
        file.close()
    descriptor, random = tempfile.mkstemp(_SUFFIX, f".{name}.", folder)
    path = Path(random)
    path.chmod(0o644)  # the default of such files is 0o600
    return path, os.fdopen(descriptor, "r+b")


@contextmanager
def _temporary_folder(path: Path) -> Iterator[Path]:
    """Make the temporary folder of a path, and remove it with all that is in it."""
    folder = path.parent / f".{path.name}.parts"
    file = _claim(folder, path)
    if file is None:
        folder = Path(tempfile.mkdtemp(dir=path.parent, prefix=f".{path.name}."))
    try:
        yield folder
    finally:
        # What cannot be removed is left to the next process.
        shutil.rmtree(folder, ignore_errors=True)
        if file is not None:
            file.close()


def _claim(folder: Path, path: Path) -> IO[bytes] | None:
    """Create and lock a temporary folder, or return None without locks.

    One that a killed process has left is emptied.
    """
    while os.name != "nt":
        folder.mkdir(exist_ok=True)
        try:
            file = _open(folder / "lock", os.O_RDWR | os.O_CREAT)
        except FileNotFoundError:  # the process that had it has removed it
            continue
        try:
            locked = lock(file, wait=False)
        except BlockingIOError as error:
            file.close()
            raise RuntimeError(
                f"{path}: another process is writing it; wait until it has ended, or "
                "choose another path."
            ) from error
        if locked and _is_named(os.fstat(file.fileno()), folder / "lock"):
            if (folder / "old").exists() and not path.exists():
                (folder / "old").replace(path)  # the process was killed between moves
            for left in set(folder.iterdir()) - {folder / "lock"}:
                shutil.rmtree(left) if left.is_dir() else left.unlink()
            return file
        file.close()
        if not locked:
            shutil.rmtree(folder)
            break
    return None


def _sync(path: Path) -> None:
    """Wait until the disk has a file, or the names of a folder, if the system can."""
    # Windows opens no folders, and some file systems cannot wait for them.
    with suppress(OSError):
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
