"""Files that are written as a whole, or not at all."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO


@contextmanager
def write_whole(path: Path) -> Iterator[IO[bytes]]:
    """Open a file to write, so that `path` holds all of it or is not touched.

    The bytes go to a temporary file in the same folder, which takes the name `path`
    when the block ends, and is removed when it fails.

    Parameters
    ----------
    path : pathlib.Path
        The file to write; its folder is created.

    Yields
    ------
    file : binary file

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
            temporary.chmod(0o644)  # temporary files are private
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)
