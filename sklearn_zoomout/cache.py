"""A cache of superpixels and features: one file for an image and a transformer."""

import hashlib
import io
import os
import re
import stat
import time
import warnings
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from numbers import Integral
from pathlib import Path
from typing import Any

import joblib
import numpy as np
from numpy.typing import NDArray

from ._utils.writing import write_whole
from ._version import __version__
from .exceptions import CacheWarning

# What the numbers come from, beside this library: another version is another entry.
_PACKAGES = (
    "numpy",
    "scipy",
    "scikit-image",
    "opencv-python",
    "opencv-python-headless",
    "torch",
    "torchvision",
    "timm",
)
# Number of the layout of keys and files; raise it when either changes.
_FORMAT = 1
_CHECKSUM_SIZE = hashlib.sha256().digest_size
_ENTRY = re.compile(r"[0-9a-f]{64}\.npy")
_TEMPORARY = re.compile(r"tmp[a-z0-9_]{8}")  # as the module tempfile names them
_ABANDONED = 3600  # seconds after which nobody writes to a temporary file any more
# Shares of `max_bytes`: what is written, on average, between two looks at the whole
# folder, and what is left there when the oldest entries are removed.
_LOOK = 1 / 50
_KEEP = 0.9


@dataclass(frozen=True)
class FeatureCache:
    """A folder that keeps what was computed for an image, up to a number of bytes.

    The `memory` parameter of `SuperpixelSegmenter` and of the features takes one, or
    only the name of the folder. Entries are found by the content of the image and by
    all that the result depends on, never by a file name, so that folds, candidates of
    a search, processes and later sessions share them. To clear the cache, delete the
    folder, at any time.

    Parameters
    ----------
    folder : str or path
        Where the entries are; made when the first is written.
    max_bytes : int, default=20_000_000_000
        When the entries take more, those not used for longest are removed. Choose more
        than one extraction of all images takes: with less, entries go before they are
        asked for again.

    Raises
    ------
    TypeError
        If `folder` is no path.
    ValueError
        If `folder` is empty, or `max_bytes` is not a positive integer.

    Warns
    -----
    CacheWarning
        If an entry is damaged, which is then computed and written anew, or if the
        folder cannot be written, as when the disk is full. Results are never affected.

    Notes
    -----
    What is recalled is what was computed, bit for bit. `GlobalFeatures` takes several
    images at once: the last bits of its results depend on which of them were not in
    the cache, as they depend, without a cache, on which are given together.

    Processes that look for the same image at the same time both compute it. Before a
    search with ``n_jobs=2`` or more, ``model[:-1].fit_transform(images, masks)`` fills
    the cache once.

    An entry is a .npy file followed by a SHA-256 checksum, moved to its place when it
    is complete. Nothing in it is ever run as code. The files are checked against
    accidents, not against somebody who may write to the folder and means harm.

    The folder is not looked through at every write, so that `max_bytes` can be exceeded
    for a while, by a fiftieth on average, however many processes write.

    Examples
    --------
    >>> import tempfile
    >>> import numpy as np
    >>> from sklearn_zoomout import FeatureCache, SuperpixelSegmenter
    >>> from sklearn_zoomout.datasets import make_scenes
    >>> images, masks = make_scenes(n_images=2, random_state=0)
    >>> folder = tempfile.TemporaryDirectory()
    >>> memory = FeatureCache(folder.name, max_bytes=10**9)
    >>> segmenter = SuperpixelSegmenter(n_segments=50, memory=memory)
    >>> computed = segmenter.transform(images)
    >>> recalled = segmenter.transform(images)
    >>> np.array_equal(recalled[0].segments, computed[0].segments)
    True
    >>> folder.cleanup()
    """

    folder: str | os.PathLike[str]
    max_bytes: int = 20_000_000_000

    def __post_init__(self) -> None:
        if not isinstance(self.folder, (str, os.PathLike)):
            raise TypeError(
                f"folder: expected a path, got {type(self.folder).__name__}."
            )
        if not os.fspath(self.folder):
            raise ValueError("folder: expected a path, got an empty one.")
        is_integer = isinstance(self.max_bytes, Integral)
        if not is_integer or isinstance(self.max_bytes, bool) or self.max_bytes < 1:
            raise ValueError(
                f"max_bytes: expected a positive integer, got {self.max_bytes!r}."
            )

    def __contains__(self, key: str) -> bool:
        return os.path.exists(self._path(key))

    def get(self, key: str) -> NDArray[Any] | None:
        """Read an entry.

        Parameters
        ----------
        key : str
            From `entry_key`.

        Returns
        -------
        array : ndarray or None
            None if there is no such entry, or it is damaged.
        """
        path = self._path(key)
        try:
            content = path.read_bytes()
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            _warn(f"{path}: cannot be read ({error.strerror}); computed anew.")
            return None
        array, checksum = content[:-_CHECKSUM_SIZE], content[-_CHECKSUM_SIZE:]
        if _checksum(key, array) != checksum:
            _warn(f"{path}: damaged; computed and written anew.")
            return None
        with suppress(OSError):  # a folder that can only be read
            os.utime(path)  # now the most recently used
        return np.lib.format.read_array(io.BytesIO(array), allow_pickle=False)

    def put(self, key: str, array: NDArray[Any]) -> None:
        """Write an entry, or warn that it cannot be written.

        Parameters
        ----------
        key : str
            From `entry_key`.
        array : ndarray of numbers
        """
        buffer = io.BytesIO()
        np.lib.format.write_array(buffer, array, allow_pickle=False)
        content = buffer.getvalue()
        size = len(content) + _CHECKSUM_SIZE
        if size > _KEEP * self.max_bytes:
            _warn(
                f"{self.folder}: an entry of {size} bytes is not kept; max_bytes is "
                f"{self.max_bytes}, choose far more."
            )
            return
        try:
            with write_whole(self._path(key)) as file:
                file.write(content)
                file.write(_checksum(key, content))
            # Keys are as good as random numbers. To look by chance needs no count of
            # what this and other processes have written.
            if int(key[:8], 16) * _LOOK * self.max_bytes < size * 16**8:
                self._remove_oldest()
        except OSError as error:
            _warn(
                f"{self.folder}: cannot be written ({error.strerror}); results are "
                "returned, but not kept."
            )

    @property
    def _root(self) -> Path:
        return Path(self.folder).expanduser()

    def _path(self, key: str) -> Path:
        return self._root / key[:2] / f"{key}.npy"

    def _remove_oldest(self) -> None:
        """Bring the entries below `max_bytes`, and remove what was never completed."""
        entries = []
        for path, status in self._files():
            age = time.time() - status.st_mtime
            if _ENTRY.fullmatch(path.name):
                entries.append((status.st_mtime_ns, status.st_size, path))
            elif _TEMPORARY.fullmatch(path.name) and age > _ABANDONED:
                path.unlink(missing_ok=True)
        total = sum(size for _, size, _ in entries)
        if total <= self.max_bytes:
            return
        for _, size, path in sorted(entries):
            path.unlink(missing_ok=True)
            total -= size
            if total <= _KEEP * self.max_bytes:
                return

    def _files(self) -> Iterator[tuple[Path, os.stat_result]]:
        """Give the files that have the place of an entry."""
        for path in self._root.glob("[0-9a-f][0-9a-f]/*"):
            with suppress(FileNotFoundError):  # another process removed it
                status = path.lstat()
                if stat.S_ISREG(status.st_mode):
                    yield path, status


def open_cache(memory: Any) -> FeatureCache | None:
    """Give the cache that a ``memory`` parameter names, None for none.

    Raises
    ------
    ValueError
        If there is a file where the folder should be.
    """
    if memory is None:
        return None
    opened = memory if isinstance(memory, FeatureCache) else FeatureCache(memory)
    if os.path.exists(opened._root) and not os.path.isdir(opened._root):
        raise ValueError(
            f"memory: expected a folder, {os.fspath(opened.folder)!r} is a file; name "
            "a folder, which need not exist yet."
        )
    return opened


def digest_array(array: NDArray[Any]) -> str:
    """Give the SHA-256 of an array's values, dtype and shape, in hexadecimal."""
    digest = hashlib.sha256(f"{array.dtype.str} {array.shape} ".encode())
    digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()


def digest_state(owner: Any, state: dict[str, Any]) -> str:
    """Give the digest of a transformer that results are kept of.

    Parameters
    ----------
    owner : object
        The transformer; its class has a ``cache_version``.
    state : dict
        Its parameters and fitted attributes, as far as results depend on them.

    Returns
    -------
    str
        It also depends on the class, on its ``cache_version`` and on the versions of
        this library and of those that it computes with.
    """
    kind = type(owner)
    name = f"{kind.__module__}.{kind.__qualname__}"
    versions = (_FORMAT, __version__, kind.cache_version, *_package_versions())
    # One by one: joblib tells an object that is met twice from two that are equal. And
    # the processes that it starts see large arrays as maps of files.
    values = {
        key: joblib.hash(value, hash_name="sha1", coerce_mmap=True)
        for key, value in state.items()
    }
    return joblib.hash([name, versions, values], hash_name="sha1")


def entry_key(state: str, image: str) -> str:
    """Give the key of an entry from `digest_state` and the digest of an image."""
    return hashlib.sha256(f"{state} {image}".encode()).hexdigest()


@cache
def _package_versions() -> tuple[str, ...]:
    versions = []
    for package in _PACKAGES:
        with suppress(PackageNotFoundError):
            versions.append(f"{package} {version(package)}")
    return tuple(versions)


def _checksum(key: str, content: bytes) -> bytes:
    # With the key, so that an entry in the place of another is recognized.
    digest = hashlib.sha256(key.encode())
    digest.update(content)
    return digest.digest()


def _warn(message: str) -> None:
    warnings.warn(message, CacheWarning, stacklevel=3)
