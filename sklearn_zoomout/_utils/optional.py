"""Libraries that only some users need."""

from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def explain_missing(task: str, extra: str) -> Iterator[None]:
    """Name the extra that installs a library whose import fails in the block.

    Parameters
    ----------
    task : str
        What the library is needed for, the beginning of the error.
    extra : str
        The optional dependencies of the package that contain it.

    Raises
    ------
    ImportError
        If an import in the block fails.
    """
    try:
        yield
    except ImportError as error:
        raise ImportError(
            f"{task} needs {error.name}, which cannot be imported ({error}); install "
            f'it with pip install "sklearn-zoomout[{extra}]".'
        ) from error
