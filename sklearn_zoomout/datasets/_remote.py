"""Where data sets live on this computer, and how they come there."""

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
    """Return the folder that holds the data sets; nothing is created here.

    Parameters
    ----------
    data_home : str, path or None, default=None
        The folder. None means the folder in the environment variable
        ``SKLEARN_ZOOMOUT_DATA`` or, where that is not set, the folder ``zoomout``
        in scikit-learn's data home.

    Returns
    -------
    folder : pathlib.Path
        The folder; it may be missing.
    """
    if data_home is not None:
        return Path(data_home).expanduser()
    if os.environ.get(DATA_VARIABLE):
        return Path(os.environ[DATA_VARIABLE]).expanduser()
    return Path(get_data_home()) / "zoomout"


def download(url: str, path: Path, *, verbose: int = 0) -> None:
    """Download a file so that `path` holds all of it or is not there.

    Parameters
    ----------
    url : str
        What to download.
    path : pathlib.Path
        The file to write; its folder is created.
    verbose : int, default=0
        Above 0, say what is downloaded and show a progress bar.

    Raises
    ------
    OSError
        If the server cannot be reached, the transfer breaks off or the folder cannot be
        written. The message names the address, and the place for a file that was
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
                raise OSError(f"{received} of {total} bytes came")
    except (OSError, HTTPException) as error:
        raise OSError(
            f"{url} could not be downloaded to {path} ({error}). Without a network, "
            f"bring the file there by other means, or set {DATA_VARIABLE} to the "
            "folder that holds it."
        ) from error
