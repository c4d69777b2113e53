"""`load_model` and `model_info`: a file becomes an estimator, or a card."""

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from sklearn.utils.validation import check_is_fitted

from .._utils.foreign_files import FileError, open_file
from .._version import __version__
from ._checks import FormatError, check_keys
from ._classes import check_trusted
from ._container import Header, read_array, read_header
from ._decode import Decoder
from ._info import ModelInfo, read_card


def load_model(path: str | os.PathLike[str], *, trusted: Iterable[type] = ()) -> Any:
    """Load a model that `save_model` wrote.

    No code of the file is run, and nothing is imported by its names. It can only name
    classes of this library, some of scikit-learn, and those in ``trusted``. Every byte
    is checked before anything is built.

    Parameters
    ----------
    path : str or path
        The file.
    trusted : iterable of type, default=()
        Further classes that the file may name, such as a level of your own. Their
        constructors are called with values of the file.

    Returns
    -------
    estimator
        The fitted model. It predicts what the saved one does. It can be fitted again.

    Raises
    ------
    OSError
        If the file cannot be opened: FileNotFoundError, PermissionError or
        IsADirectoryError.
    ValueError
        If the file is damaged, incomplete, no model, of a newer format, or names a
        class that is not allowed. No other errors are raised about a file, and all name
        it.
    TypeError
        If ``trusted`` has something else than classes.

    Warns
    -----
    ModelVersionWarning
        If a step computes something else here than in the version of the library that
        saved it.
    sklearn.exceptions.InconsistentVersionWarning
        If an estimator of scikit-learn was saved with another version of it.

    See Also
    --------
    save_model : Save a model.
    model_info : What a file contains, without loading it.

    Notes
    -----
    The digest in a file tells damage by accident. It does not tell who wrote the file.
    A model may name folders for its ``memory``, in which it then writes, and files of
    weights, which it then reads. `model_info` lists them among the parameters.

    Named networks are loaded when the model first predicts. Other weights than those of
    ``fit`` are an error then.

    Examples
    --------
    >>> from sklearn_zoomout import load_model
    >>> load_model("nowhere/model.zoomout")
    Traceback (most recent call last):
    ...
    FileNotFoundError: [Errno 2] No such file or directory: 'nowhere/model.zoomout'
    """
    allowed = check_trusted(trusted)
    with _opened(path) as (file, header):
        versions = header.manifest["versions"]
        decoder = Decoder(
            lambda i: read_array(file, header, i),
            len(header.arrays),
            allowed,
            versions["sklearn_zoomout"],
        )
        try:
            model = decoder.decode(header.manifest["model"])
            check_is_fitted(model)
            decoder.check_all_read()
        except (FormatError, Warning):
            raise
        # Constructors raise errors of any kind about values that they do not know.
        except Exception as error:
            raise FormatError(
                f"the model cannot be built ({type(error).__name__}: {error}); it was "
                f"saved by sklearn-zoomout {versions['sklearn_zoomout']}, this is "
                f"{__version__}; install the versions that model_info(path).versions "
                "lists"
            ) from error
    return model


def model_info(path: str | os.PathLike[str]) -> ModelInfo:
    """Read what a model file contains, without loading the model.

    All bytes are compared with their digest, but no array is kept in memory, and no
    class of the model is imported.

    Parameters
    ----------
    path : str or path
        The file.

    Returns
    -------
    ModelInfo
        Print it for a short card of the model.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If the file is damaged, incomplete, no model, or of a newer format.

    Examples
    --------
    >>> import tempfile
    >>> from sklearn_zoomout import SuperpixelSegmenter, model_info, save_model
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = f"{folder}/segmenter.zoomout"
    ...     save_model(SuperpixelSegmenter(n_segments=50), path, notes="for tests")
    ...     info = model_info(path)
    >>> info.parameters["n_segments"], info.notes
    ('50', 'for tests')
    """
    with _opened(path) as (file, header):
        modified = os.fstat(file.fileno()).st_mtime
        return read_card(Path(path).expanduser(), header, modified)


@contextmanager
def _opened(
    path: str | os.PathLike[str],
) -> Iterator[tuple[IO[bytes], Header]]:
    """Open a file and check it; errors name it."""
    path = Path(path).expanduser()
    if path.is_dir():
        raise IsADirectoryError(
            f"{path}: expected a file that save_model wrote, got a folder; name the "
            "file in it."
        )
    with open_file(path) as file:
        try:
            header = read_header(file)
            check_keys(header.manifest, {"versions", "card", "model"}, "a manifest")
            if not _are_texts(header.manifest["versions"]):
                raise FormatError("expected versions as text")
            yield file, header
        except FormatError as error:
            raise FileError(f"{path}: {error}.") from error.__cause__
        except RecursionError as error:
            raise FileError(f"{path}: expected fewer lists within lists.") from error
        except (OSError, Warning):
            raise
        except Exception as error:  # a value that no check has foreseen
            got = f"{type(error).__name__}: {error}"
            raise FileError(f"{path}: expected a model, got {got:.500}.") from error


def _are_texts(versions: Any) -> bool:
    is_dict = type(versions) is dict and "sklearn_zoomout" in versions
    return is_dict and all(type(text) is str for text in versions.values())
