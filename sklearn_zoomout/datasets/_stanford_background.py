"""The Stanford Background Dataset, read from its archive."""

import hashlib
import io
import os
import tarfile
from pathlib import Path, PurePosixPath

import numpy as np
from sklearn.utils import Bunch
from sklearn.utils._param_validation import validate_params
from tqdm.auto import tqdm

from .._utils.foreign_files import FileError, explain_damage, open_file
from .._utils.pictures import decode_picture
from ..masks import UNLABELED
from ._reading import read_description
from ._remote import download, find_data_home

URL = "http://dags.stanford.edu/data/iccv09Data.tar.gz"
ARCHIVE = "iccv09Data.tar.gz"
_LARGEST = 10**7  # bytes of a member, a hundred times those of the largest one
# fmt: off
CLASS_NAMES = (
    "sky", "tree", "road", "grass", "water", "building", "mountain",
    "foreground object",
)
# fmt: on


@validate_params(
    {
        "data_home": [str, os.PathLike, None],
        "download_if_missing": ["boolean"],
        "verbose": ["verbose"],
    },
    prefer_skip_nested_validation=True,
)
def fetch_stanford_background(
    data_home: str | os.PathLike[str] | None = None,
    *,
    download_if_missing: bool = True,
    verbose: int = 0,
) -> Bunch:
    """Load the Stanford Background Dataset: 715 images, eight classes.

    The archive ``iccv09Data.tar.gz`` (14 MB) is downloaded once. It is read without
    being extracted, which takes some seconds.

    Parameters
    ----------
    data_home : str, path or None, default=None
        The folder that holds ``iccv09Data.tar.gz`` or to which it is downloaded. None
        is the folder in the environment variable ``SKLEARN_ZOOMOUT_DATA``. If the
        variable is not set, None is the folder ``zoomout`` in scikit-learn's data
        home. Nothing is written there if the archive is present.
    download_if_missing : bool, default=True
        If False, the network is never used, and a missing archive is an error.
    verbose : int, default=0
        If positive, show the progress of the download and of the reading.

    Returns
    -------
    data : sklearn.utils.Bunch
        The images are in the order of their names. The attributes are

        - ``images``: list of (height, width, 3) arrays of uint8
        - ``masks``: list of (height, width) arrays of int16, with -1 for unlabeled
          pixels
        - ``class_names``: list of the 8 names. The name of label k is at position k
        - ``filenames``: list of str, such as ``"0000047.jpg"``
        - ``horizons``: (n_images,) float array, the row of the horizon in pixels. It is
          outside the image if no horizon is visible, and NaN if none is given
        - ``sha256``: str, the checksum of the archive that was read
        - ``DESCR``: str, the description of the data set and the paper to cite

    Raises
    ------
    OSError
        If the archive is missing and is not downloaded, or it is truncated or not an
        archive.
    ValueError
        If the archive lacks labels, or does not hold the data set.

    References
    ----------
    .. [1] S. Gould, R. Fulton, D. Koller. "Decomposing a scene into geometric and
       semantically consistent regions". ICCV 2009.

    Examples
    --------
    >>> from sklearn_zoomout.datasets import fetch_stanford_background
    >>> data = fetch_stanford_background()  # doctest: +SKIP
    >>> len(data.images), data.images[0].shape  # doctest: +SKIP
    (715, (240, 320, 3))
    """
    path = find_data_home(data_home) / ARCHIVE
    if not path.exists():
        if not download_if_missing:
            raise OSError(
                f"{path} is missing. Download {URL} to that place, or call with "
                "download_if_missing=True."
            )
        download(URL, path, verbose=verbose)

    files = _read_archive(path, verbose=verbose)
    stems = _paired_stems(path, files)
    masks = [_read_mask(files[f"labels/{s}.regions.txt"], path, s) for s in stems]
    images = [
        _read_image(files[f"images/{s}.jpg"], path, s, mask.shape)
        for s, mask in zip(stems, masks, strict=True)
    ]
    return Bunch(
        images=images,
        masks=masks,
        class_names=list(CLASS_NAMES),
        filenames=[f"{stem}.jpg" for stem in stems],
        horizons=_read_horizons(files.get("horizons.txt", b""), path, stems),
        sha256=hashlib.sha256(path.read_bytes()).hexdigest(),
        DESCR=read_description("stanford_background"),
    )


def _read_archive(path: Path, *, verbose: int) -> dict[str, bytes]:
    """Return the images, labels and horizons, by their names inside ``iccv09Data``."""
    files: dict[str, bytes] = {}
    try:
        with (
            open_file(path) as stream,
            tarfile.open(fileobj=stream, mode="r:gz") as tar,
            tqdm(
                tar, desc=f"Reading {path}", unit=" files", disable=not verbose
            ) as bar,
        ):
            for member in bar:
                name = PurePosixPath(member.name)
                # Such a member could do no harm, because nothing is written. But an
                # archive that holds one is not the data set.
                if name.is_absolute() or ".." in name.parts:
                    raise FileError(
                        f"{path}: the member {member.name!r} leaves the archive's "
                        f"folder; this is not the file at {URL}."
                    )
                if name.name.endswith((".jpg", ".regions.txt", "horizons.txt")):
                    files["/".join(name.parts[1:])] = _read_member(tar, member, path)
    except FileError:
        raise
    except FileNotFoundError:
        raise
    except Exception as error:  # tarfile and gzip fail in many ways on damaged bytes
        got = str(error) or type(error).__name__
        raise OSError(
            f"{path} cannot be read ({got}). It is truncated, or no .tar.gz archive. "
            f"Delete it and download {URL} again."
        ) from error
    return files


def _read_member(tar: tarfile.TarFile, member: tarfile.TarInfo, path: Path) -> bytes:
    """Return the bytes of a file; links and what is far too large are refused."""
    if not member.isreg():
        raise FileError(
            f"{path}: expected a file, got a link or a device, {member.name!r:.80}; "
            f"this is not the file at {URL}."
        )
    if member.size > _LARGEST:
        raise FileError(
            f"{path}: expected files of at most {_LARGEST} bytes, got {member.size} of "
            f"{member.name!r:.80}; this is not the file at {URL}."
        )
    content = tar.extractfile(member)
    assert content is not None  # it is a file
    return content.read()


def _paired_stems(path: Path, files: dict[str, bytes]) -> list[str]:
    """Return the sorted names of the images, and check that all have labels."""
    stems = sorted(
        name.removeprefix("images/").removesuffix(".jpg")
        for name in files
        if name.startswith("images/") and name.endswith(".jpg")
    )
    if not stems:
        raise ValueError(
            f"{path}: expected images in iccv09Data/images/, found none; this is not "
            f"the file at {URL}."
        )
    missing = [s for s in stems if f"labels/{s}.regions.txt" not in files]
    if missing:
        first = ", ".join(f"labels/{s}.regions.txt" for s in missing[:5])
        raise ValueError(
            f"{path}: {len(missing)} of {len(stems)} images have no labels, first: "
            f"{first}. Download {URL} again."
        )
    return stems


def _read_mask(text: bytes, path: Path, stem: str) -> np.ndarray:
    """Parse the integer matrix of one image; every negative number becomes -1."""
    name = f"{path}: labels/{stem}.regions.txt"
    if not text.strip():
        raise ValueError(f"{name} is empty.")
    try:
        mask = np.loadtxt(io.BytesIO(text), np.int16, comments=None, ndmin=2)
    except ValueError as error:
        raise ValueError(f"{name} is not a matrix of integers: {error}.") from error
    if mask.max() >= len(CLASS_NAMES):
        raise ValueError(
            f"{name}: expected labels below {len(CLASS_NAMES)}, got {mask.max()}."
        )
    return np.maximum(mask, np.int16(UNLABELED))


def _read_image(
    content: bytes, path: Path, stem: str, shape: tuple[int, ...]
) -> np.ndarray:
    """Decode a JPEG, after a check that its size is that of the labels."""
    name = f"{path}: images/{stem}.jpg"
    file = io.BytesIO(content)
    with decode_picture(file, name, ["JPEG"], f"download {URL} again") as picture:
        if picture.size[::-1] != shape:
            raise FileError(
                f"{name} has {picture.size[::-1]} pixels, but its labels have {shape}."
            )
        return np.array(picture.convert("RGB"))


def _read_horizons(text: bytes, path: Path, stems: list[str]) -> np.ndarray:
    """Return the row of the horizon in each image, from "name width height row"."""
    with explain_damage(
        f"{path}: horizons.txt", "read as a table", f"download {URL} again"
    ):
        lines = (line.split() for line in text.decode().splitlines())
        rows = {line[0]: float(line[3]) for line in lines if len(line) == 4}
    return np.array([rows.get(stem, np.nan) for stem in stems])
