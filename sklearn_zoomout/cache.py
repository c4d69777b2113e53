"""A cache of superpixels and features: one file per image and transformer."""

import hashlib
import io
import os
import re
import stat
import warnings
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from numbers import Integral
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from sklearn.utils._param_validation import Interval

from ._utils.params import validate_params
from ._utils.writing import remove_abandoned, write_whole
from .exceptions import CacheWarning

# The layout of keys and files. Raise it when either changes.
_FORMAT = 2
_CHECKSUM_SIZE = hashlib.sha256().digest_size
_ENTRY = re.compile(r"[0-9a-f]{64}\.npy")
# The folder of entries that are being written. It can be listed at every write.
_TEMPORARY = "tmp"
# How often a write is tried when other processes delete the folder meanwhile.
_TRIALS = 3
# A writer lists the whole folder after it has written, on average, this share of
# `max_bytes`.
_LOOK = 1 / 50
# The share of `max_bytes` that is left when the oldest entries are removed.
_KEEP = 0.9


_Tell = Callable[[str], None]


@dataclass(frozen=True)
class FeatureCache:
    """A folder that keeps superpixels and features of images, up to a size in bytes.

    The parameter `memory` of `SuperpixelSegmenter` and of the feature levels takes a
    FeatureCache, or only the name of the folder. An entry is found by the content of
    the image and by all that the result depends on, never by a file name. So folds,
    candidates of a search, processes and later sessions share the entries. The folder
    can be deleted at any time to clear the cache, also while a model is being fitted.

    Parameters
    ----------
    folder : str or path
        The folder of the entries. It is created when the first entry is written.
    max_bytes : int, default=20_000_000_000
        When the entries take more bytes, the least recently used ones are removed.
        Choose more than the features of all images take. With less, entries are
        removed before they are used again.

    Raises
    ------
    TypeError
        If `folder` is not a path.
    ValueError
        If `folder` is empty, or `max_bytes` is not a positive integer.

    Warns
    -----
    CacheWarning
        If an entry is damaged. Its result is computed and written again. Also if the
        folder cannot be read or written, for instance because the disk is full. A call
        of ``fit`` or ``transform`` of a transformer says that once, and Python's
        default filter leaves out repetitions by other calls. The returned results are
        correct in both cases.

    Notes
    -----
    A result that is read from the cache equals the computed one bit for bit.

    Two processes that need the same entry at the same time both compute it. Before a
    search with ``n_jobs=2`` or more, fill the cache once by
    ``model[:-1].fit_transform(images, masks)``.

    An entry is a .npy file followed by a SHA-256 checksum. It is moved to its place
    when it is complete. What a killed process has left is removed at the next write.
    Entries are never run as code, and one of another shape or type than the result has
    counts as damaged. The checksum detects damage by accident. It does not protect
    against a person who can write to the folder.

    The folder is not listed at every write. Its size can therefore exceed `max_bytes`
    for a while, by 2 % on average, however many processes write.

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
    >>> from_cache = segmenter.transform(images)
    >>> np.array_equal(from_cache[0].segments, computed[0].segments)
    True
    >>> folder.cleanup()
    """

    folder: str | os.PathLike[str]
    max_bytes: int = 20_000_000_000

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "folder": [str, os.PathLike],
        "max_bytes": [Interval(Integral, 1, None, closed="left")],
    }

    def __post_init__(self) -> None:
        validate_params(self)
        if not os.fspath(self.folder):
            raise ValueError("folder: expected a path, got an empty string.")

    def __contains__(self, key: str) -> bool:
        return os.path.exists(self._path(key))

    def get(
        self,
        key: str,
        *,
        shape: tuple[int, ...] | None = None,
        dtype: Any = None,
    ) -> NDArray[Any] | None:
        """Read an entry.

        Parameters
        ----------
        key : str
            A key from `entry_key`.
        shape : tuple of int, default=None
            The shape that the result has. None is any.
        dtype : dtype or abstract type of NumPy, default=None
            Its dtype, or a kind of dtypes, such as `numpy.unsignedinteger`.

        Returns
        -------
        array : ndarray or None
            None if the entry does not exist, is damaged, or is no such array.

        Warns
        -----
        CacheWarning
            If the entry is damaged or cannot be read.
        """
        return self._get(key, shape, dtype, _warn)

    def put(self, key: str, array: NDArray[Any]) -> None:
        """Write an entry.

        Parameters
        ----------
        key : str
            A key from `entry_key`.
        array : ndarray of numbers
            The result to keep.

        Warns
        -----
        CacheWarning
            If the entry cannot be written, or is larger than the cache may be.
        """
        self._put(key, array, _warn)

    def _get(
        self, key: str, shape: tuple[int, ...] | None, dtype: Any, tell: _Tell
    ) -> NDArray[Any] | None:
        path = self._path(key)
        try:
            content = path.read_bytes()
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            tell(
                f"{self.folder}: entries cannot be read ({error.strerror}); they are "
                "computed again."
            )
            return None
        array = _parse(key, content)
        if (
            array is None
            or (shape is not None and array.shape != shape)
            or (dtype is not None and not np.issubdtype(array.dtype, dtype))
        ):
            tell(f"{path}: damaged; it is computed and written again.")
            return None
        with suppress(OSError):  # the folder can be read-only
            os.utime(path)  # now the most recently used entry
        return array

    def _put(self, key: str, array: NDArray[Any], tell: _Tell) -> None:
        buffer = io.BytesIO()
        np.lib.format.write_array(buffer, array, allow_pickle=False)
        content = buffer.getvalue()
        size = len(content) + _CHECKSUM_SIZE
        if size > _KEEP * self.max_bytes:
            tell(
                f"{self.folder}: an entry is not kept, because it is too large and "
                f"max_bytes is {self.max_bytes}; choose a far larger max_bytes."
            )
            return
        try:
            self._write(key, content)
            # Keys are as good as random numbers, so the key decides whether to list
            # the folder. Processes need not count what the others have written.
            if int(key[:8], 16) * _LOOK * self.max_bytes < size * 16**8:
                self._remove_oldest()
        except OSError as error:
            tell(
                f"{self.folder}: cannot be written ({error.strerror}); results are "
                "returned, but not kept."
            )

    def _write(self, key: str, content: bytes) -> None:
        temporary = self._root / _TEMPORARY
        remove_abandoned(temporary)
        for trial in range(_TRIALS):
            try:
                # Not durable: an entry that a loss of power has torn is noticed.
                with write_whole(
                    self._path(key), durable=False, folder=temporary
                ) as file:
                    file.write(content)
                    file.write(_checksum(key, content))
                return
            except (FileNotFoundError, FileExistsError):
                # The folder is being deleted, if it is not a file.
                if trial == _TRIALS - 1:
                    raise

    @property
    def _root(self) -> Path:
        return Path(self.folder).expanduser()

    def _path(self, key: str) -> Path:
        return self._root / key[:2] / f"{key}.npy"

    def _remove_oldest(self) -> None:
        """Remove the oldest entries beyond `max_bytes`."""
        entries = [
            (status.st_mtime_ns, status.st_size, path)
            for path, status in self._files()
            if _ENTRY.fullmatch(path.name)
        ]
        total = sum(size for _, size, _ in entries)
        if total <= self.max_bytes:
            return
        for _, size, path in sorted(entries):
            path.unlink(missing_ok=True)
            total -= size
            if total <= _KEEP * self.max_bytes:
                return

    def _files(self) -> Iterator[tuple[Path, os.stat_result]]:
        """Yield the regular files in the folders of entries."""
        for path in self._root.glob("[0-9a-f][0-9a-f]/*"):
            # Another process may have removed it, or its folder.
            with suppress(FileNotFoundError, NotADirectoryError):
                status = path.lstat()
                if stat.S_ISREG(status.st_mode):
                    yield path, status


class OpenCache:
    """A cache during one call of a transformer, which gives every warning once.

    Parameters
    ----------
    cache : FeatureCache
        The cache.
    """

    def __init__(self, cache: FeatureCache) -> None:
        self._cache = cache
        self._told: dict[str, object] = {}

    def __contains__(self, key: str) -> bool:
        return key in self._cache

    def get(self, key: str, shape: tuple[int, ...], dtype: Any) -> NDArray[Any] | None:
        """Read an entry, see `FeatureCache.get`."""
        return self._cache._get(key, shape, dtype, self._tell)

    def put(self, key: str, array: NDArray[Any]) -> None:
        """Write an entry, see `FeatureCache.put`."""
        self._cache._put(key, array, self._tell)

    def _tell(self, message: str) -> None:
        mine = object()  # threads share this cache, and only one of them is the first
        if self._told.setdefault(message, mine) is mine:
            _warn(message)


def open_cache(memory: Any) -> OpenCache | None:
    """Return the cache of a parameter `memory`, for one call of a transformer.

    Parameters
    ----------
    memory : str, path, FeatureCache or None
        The value of the parameter.

    Returns
    -------
    OpenCache or None
        None if `memory` is None.

    Raises
    ------
    ValueError
        If the folder is a file.
    """
    if memory is None:
        return None
    cache = memory if isinstance(memory, FeatureCache) else FeatureCache(memory)
    # One look, since the folder can be deleted between two.
    with suppress(OSError):
        if not stat.S_ISDIR(cache._root.stat().st_mode):
            raise ValueError(
                f"memory: expected a folder, got the file {os.fspath(cache.folder)!r}; "
                "name a folder; it may be missing."
            )
    return OpenCache(cache)


def entry_key(transformer: str, image: str) -> str:
    """Return the key of an entry.

    Parameters
    ----------
    transformer : str
        The digest of the transformer, from `digest_transformer` or `digest_state`.
    image : str
        The digest of the image, and of its label map if the result depends on it.

    Returns
    -------
    str
        64 hexadecimal digits.
    """
    return hashlib.sha256(f"{_FORMAT} {transformer} {image}".encode()).hexdigest()


def _checksum(key: str, content: bytes) -> bytes:
    # The key is included to detect an entry that was moved to the place of another.
    digest = hashlib.sha256(key.encode())
    digest.update(content)
    return digest.digest()


def _parse(key: str, content: bytes) -> NDArray[Any] | None:
    """Return the array of an entry, None if the entry is damaged."""
    array, checksum = content[:-_CHECKSUM_SIZE], content[-_CHECKSUM_SIZE:]
    if _checksum(key, array) != checksum:
        return None
    # A right checksum does not make it an entry that this library has written.
    file = io.BytesIO(array)
    try:
        version = np.lib.format.read_magic(file)
        if version != (1, 0):
            return None
        shape, fortran, dtype = np.lib.format.read_array_header_1_0(file)
        values = np.frombuffer(array, dtype, offset=file.tell())
        # A copy, since the result may be changed and the file's bytes may not.
        return values.reshape(shape, order="F" if fortran else "C").copy()
    except (ValueError, TypeError):
        return None


def _warn(message: str) -> None:
    # The place of the warning is always this line, so that Python's default filter
    # shows a message once, whichever transformers give it.
    warnings.warn(message, CacheWarning, stacklevel=1)
