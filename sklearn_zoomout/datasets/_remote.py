"""The folder of the data sets, and their download."""

import os
import urllib.request
from http.client import HTTPException
from pathlib import Path

from sklearn.datasets import get_data_home
from tqdm.auto import tqdm

from .._utils.writing import write_whole

DATA_VARIABLE = "SKLEARN_ZOOMOUT_DATA"
_CHUNK = 1 << 18  # bytes


def find_data_home(data_home: str | os.PathLike[str] | None = None) -> Path:
    """Return the folder of the data sets. It is not created.

    Parameters
    ----------
    data_home : str, path or None, default=None
        The folder. None is the folder in the environment variable
        ``SKLEARN_ZOOMOUT_DATA``. If the variable is not set, None is the folder
        ``zoomout`` in scikit-learn's data home.

    Returns
    -------
    folder : pathlib.Path
        The folder, which may not exist.
    """
    if data_home is not None:
        return Path(data_home).expanduser()
    if os.environ.get(DATA_VARIABLE):
        return Path(os.environ[DATA_VARIABLE]).expanduser()
    return Path(get_data_home()) / "zoomout"


def download(url: str, path: Path, *, verbose: int = 0) -> None:
    """Download a file, so that `path` is complete or does not exist.

    Parameters
    ----------
    url : str
        The address of the file.
    path : pathlib.Path
        The file to write. Its folder is created.
    verbose : int, default=0
        If positive, print what is downloaded and show a progress bar.

    Raises
    ------
    OSError
        If the server cannot be reached, the transfer breaks off, or the folder cannot
        be written. The message names the address, and the path for a file that is
        downloaded by other means.
    """
    try:
        with (
            write_whole(path) as file,
            urllib.request.urlopen(url, timeout=60) as response,
            tqdm(
                desc=f"Downloading {url}",
                total=(total := int(response.headers.get("Content-Length") or 0)),
                unit="B",
                unit_scale=True,
                disable=not verbose,
            ) as bar,
        ):
            while chunk := response.read(_CHUNK):
                file.write(chunk)
                bar.update(len(chunk))
            received = file.tell()
            if total and received != total:
                raise OSError(f"received {received} of {total} bytes")
    except (OSError, HTTPException) as error:
        raise OSError(
            f"{url} could not be downloaded to {path} ({error}). Without a network, "
            f"copy the file there by other means, or set {DATA_VARIABLE} to the "
            "folder that holds it."
        ) from error
