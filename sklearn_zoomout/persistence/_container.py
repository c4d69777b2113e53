"""The file of a model: arrays in the layout of safetensors, and a digest at the end.

The file is ::

    8 bytes        length of the header, little-endian
    header         JSON: name, type, shape and bytes of every array; the manifest
    arrays         one after the other, without gaps
    32 bytes       SHA-256 of all bytes before, as the array "sha256"
"""

import hashlib
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from ._checks import FormatError, check_keys, load_json, parse_dtype

#: What the metadata call the format; its value is the version of the format.
MARK = "sklearn_zoomout_model"
FORMAT = 1
_START = f'{{"__metadata__":{{"{MARK}":"'.encode()
_DIGEST = "sha256"
_DIGEST_SIZE = 32
_LENGTH_SIZE = 8
_CHUNK = 2**20
# Types that safetensors has. Arrays of others are stored as bytes.
_TYPES = {
    "|b1": "BOOL",
    "|u1": "U8",
    "|i1": "I8",
    "<i2": "I16",
    "<u2": "U16",
    "<i4": "I32",
    "<u4": "U32",
    "<i8": "I64",
    "<u8": "U64",
    "<f2": "F16",
    "<f4": "F32",
    "<f8": "F64",
}
_MOST_DIMENSIONS = 32
# What other files begin with.
_FOREIGN = (
    (b"PK", "a zip file, as torch and numpy save them"),
    (b"\x93NUMPY", "a .npy file"),
    (b"\x89HDF", "an HDF5 file"),
    *((bytes([0x80, i]), "a pickle, which is not opened") for i in range(6)),
)


@dataclass(frozen=True)
class Header:
    """The checked header of a file.

    Attributes
    ----------
    manifest : dict
        What the arrays are.
    arrays : list of (dtype, shape, order, sha256)
        As the manifest lists them.
    offsets : list of int
        Where each array begins in the file.
    size : int
        Bytes of the file.
    sha256 : str
        Digest of the file.
    """

    manifest: dict[str, Any]
    arrays: list[tuple[np.dtype[Any], tuple[int, ...], str, str]]
    offsets: list[int]
    size: int
    sha256: str

    @property
    def n_bytes(self) -> int:
        """Bytes of all arrays together."""
        return sum(_n_bytes(dtype, shape) for dtype, shape, _, _ in self.arrays)


def write_container(
    file: IO[bytes], manifest: dict[str, Any], arrays: Sequence[NDArray[Any]]
) -> None:
    """Write a manifest and arrays.

    Parameters
    ----------
    file : binary file
        Where to write.
    manifest : dict
        What JSON can hold. It gets the key "arrays".
    arrays : sequence of ndarray
        Of any type without objects.
    """
    stored = [_contiguous(array) for array in arrays]
    entries = [
        {
            "dtype": np.lib.format.dtype_to_descr(array.dtype),
            "shape": list(array.shape if order == "C" else array.shape[::-1]),
            "order": order,
            "sha256": hashlib.sha256(_bytes(array)).hexdigest(),
        }
        for array, order in stored
    ]
    text = json.dumps(manifest | {"arrays": entries}, allow_nan=False)
    header: dict[str, Any] = {
        "__metadata__": {
            MARK: str(FORMAT),
            "manifest_sha256": hashlib.sha256(text.encode()).hexdigest(),
            "manifest": text,
        }
    }
    # The largest numbers first, so that each begins at a multiple of its size.
    order_of_file = sorted(range(len(stored)), key=lambda i: -_alignment(stored[i][0]))
    end = 0
    for i in order_of_file:
        array = stored[i][0]
        header[_name(i)] = _describe(array.dtype, array.shape, end)
        end += array.nbytes
    header[_DIGEST] = _describe(np.dtype(np.uint8), (_DIGEST_SIZE,), end)
    encoded = json.dumps(header, separators=(",", ":")).encode()
    encoded += b" " * (-len(encoded) % 8)
    digest = hashlib.sha256()
    for part in (
        len(encoded).to_bytes(_LENGTH_SIZE, "little"),
        encoded,
        *(_bytes(stored[i][0]) for i in order_of_file),
    ):
        digest.update(part)
        file.write(part)
    file.write(digest.digest())


def read_header(file: IO[bytes]) -> Header:
    """Check a file by its digest, and read all but its arrays.

    Parameters
    ----------
    file : binary file
        The file, at its beginning.

    Returns
    -------
    Header

    Raises
    ------
    FormatError
        If the file is damaged, or is no model.
    """
    size = file.seek(0, 2)
    file.seek(0)
    start = file.read(_LENGTH_SIZE + len(_START))
    if start[_LENGTH_SIZE:] != _START:
        kind = next((k for begin, k in _FOREIGN if start.startswith(begin)), None)
        raise FormatError(
            f"expected a model that save_model wrote, got {kind or 'something else'}"
        )
    sha256 = _verify(file, size)
    length = int.from_bytes(start[:_LENGTH_SIZE], "little")
    if length > size - _LENGTH_SIZE - _DIGEST_SIZE:
        raise FormatError(f"expected a header within the file, got {length} bytes")
    file.seek(_LENGTH_SIZE)
    header = load_json(file.read(length), "the header")
    metadata = header.pop("__metadata__")
    if type(metadata) is not dict or not all(type(v) is str for v in metadata.values()):
        raise FormatError("expected metadata of strings")
    _check_format(metadata[MARK])
    check_keys(metadata, {MARK, "manifest", "manifest_sha256"}, "the metadata")
    text = metadata["manifest"].encode()
    if hashlib.sha256(text).hexdigest() != metadata["manifest_sha256"]:
        raise FormatError("the manifest has another SHA-256 than it should")
    manifest = load_json(text, "the manifest")
    arrays = [_check_entry(entry) for entry in manifest.pop("arrays", ())]
    body = size - _LENGTH_SIZE - length
    begins = _check_layout(header, arrays, body)
    offsets = [_LENGTH_SIZE + length + begin for begin in begins]
    return Header(manifest, arrays, offsets, size, sha256)


def read_array(file: IO[bytes], header: Header, i: int) -> NDArray[Any]:
    """Read an array, and check its digest.

    Parameters
    ----------
    file : binary file
        The file.
    header : Header
        What `read_header` returned.
    i : int
        The position of the array in the manifest.

    Returns
    -------
    ndarray

    Raises
    ------
    FormatError
        If its bytes are not those that were written.
    """
    dtype, shape, order, sha256 = header.arrays[i]
    array = np.empty(shape if order == "C" else shape[::-1], dtype=dtype)
    buffer = _bytes(array)
    file.seek(header.offsets[i])
    n_read = file.readinto(buffer) if array.size else 0  # type: ignore[attr-defined]
    if n_read != array.nbytes or hashlib.sha256(buffer).hexdigest() != sha256:
        raise FormatError(f"array {i} has another SHA-256 than it should")
    if dtype == np.bool_ and array.view(np.uint8).max(initial=0) > 1:
        raise FormatError(f"array {i} has booleans other than 0 and 1")
    return array if order == "C" else array.T


def _check_format(version: str) -> None:
    if version == str(FORMAT):
        return
    if version.isdecimal() and int(version) > FORMAT:
        raise FormatError(
            f"expected format {FORMAT}, got the newer format {version}; install a "
            "newer sklearn-zoomout"
        )
    raise FormatError(f"expected format {FORMAT}, got {version!r}")


def _verify(file: IO[bytes], size: int) -> str:
    """Compare the digest at the end with the file; return that of the whole file."""
    left = size - _DIGEST_SIZE
    digest = hashlib.sha256()
    file.seek(0)
    while left > 0:
        chunk = file.read(min(left, _CHUNK))
        if not chunk:
            break
        digest.update(chunk)
        left -= len(chunk)
    end = file.read()
    if left or end != digest.digest():
        raise FormatError(
            "the file is damaged or incomplete: its SHA-256 is not the one that was "
            "stored with it"
        )
    digest.update(end)
    return digest.hexdigest()


def _check_entry(entry: Any) -> tuple[np.dtype[Any], tuple[int, ...], str, str]:
    """Check what the manifest says about an array."""
    check_keys(entry, {"dtype", "shape", "order", "sha256"}, "an array")
    shape = entry["shape"]
    is_list = type(shape) is list and len(shape) <= _MOST_DIMENSIONS
    if not is_list or not all(type(n) is int and n >= 0 for n in shape):
        raise FormatError(f"expected the shape of an array, got {shape!r}")
    if entry["order"] not in ("C", "F"):
        raise FormatError(f"expected order C or F, got {entry['order']!r}")
    return parse_dtype(entry["dtype"]), tuple(shape), entry["order"], entry["sha256"]


def _check_layout(
    header: dict[str, Any],
    arrays: list[tuple[np.dtype[Any], tuple[int, ...], str, str]],
    body: int,
) -> list[int]:
    """Check that the arrays fill the file, and return where they begin."""
    names = [*map(_name, range(len(arrays))), _DIGEST]
    check_keys(header, set(names), "a header")
    begins = {}
    end = 0
    for name, entry in header.items():
        if name == _DIGEST:
            expected = _describe(np.dtype(np.uint8), (_DIGEST_SIZE,), end)
        else:
            dtype, shape, order, _ = arrays[int(name[len(_name("")) :])]
            stored = shape if order == "C" else shape[::-1]
            expected = _describe(dtype, stored, end)
        if entry != expected:
            raise FormatError(f"expected {expected} of {name!r}, got {entry}")
        begins[name] = end
        end = expected["data_offsets"][1]
    if list(header)[-1] != _DIGEST or end != body:
        raise FormatError(f"expected {end} bytes after the header, got {body}")
    return [begins[name] for name in names[:-1]]


def _describe(
    dtype: np.dtype[Any], shape: tuple[int, ...], begin: int
) -> dict[str, Any]:
    """Describe an array as safetensors does."""
    n_bytes = _n_bytes(dtype, shape)
    kind = None if dtype.names else _TYPES.get(dtype.str)
    return {
        "dtype": kind or "U8",
        "shape": list(shape) if kind else [n_bytes],
        "data_offsets": [begin, begin + n_bytes],
    }


def _contiguous(array: NDArray[Any]) -> tuple[NDArray[Any], str]:
    """Return an array in C order, and the order of the one that was given."""
    if array.flags.f_contiguous and not array.flags.c_contiguous:
        return array.T, "F"
    return np.ascontiguousarray(array).reshape(array.shape), "C"


def _bytes(array: NDArray[Any]) -> Any:
    return array.reshape(-1).view(np.uint8).data if array.size else b""


def _n_bytes(dtype: np.dtype[Any], shape: tuple[int, ...]) -> int:
    return math.prod(shape) * dtype.itemsize


def _alignment(array: NDArray[Any]) -> int:
    return array.dtype.alignment


def _name(i: Any) -> str:
    return f"array_{i}"
