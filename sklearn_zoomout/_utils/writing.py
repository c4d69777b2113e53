"""Files that are written completely or not at all."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO


@contextmanager
def write_whole(path: Path) -> Iterator[IO[bytes]]:
    """Open a file for writing that replaces `path` only when it is complete.

    The bytes go to a temporary file in the same folder. It is renamed to `path` when
    the block ends, and removed if the block raises an error.

    Parameters
    ----------
    path : pathlib.Path
        The file to write. Its folder is created if it is missing.

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
            file.close()
            temporary.chmod(0o644)  # the default of temporary files is 0o600
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)
