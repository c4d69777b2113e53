"""Checks of what a file says before anything is made of it."""

import json
import re
from typing import Any

import numpy as np

_PLAIN_TYPE = re.compile(r"[<>|][biufcSUmMV]\d+(\[\w+\])?")


class FormatError(ValueError):
    """What is wrong with a file; becomes an error that names the file."""


def check_keys(value: Any, expected: set[str], what: str) -> None:
    """Raise FormatError unless a value is a dict of exactly these keys."""
    if type(value) is not dict or set(value) != expected:
        got = sorted(value) if type(value) is dict else type(value).__name__
        raise FormatError(f"expected {what} with {sorted(expected)}, got {got}")


def load_json(text: bytes, what: str) -> dict[str, Any]:
    """Parse JSON strictly.

    Parameters
    ----------
    text : bytes
        The JSON of an object.
    what : str
        Its name in errors.

    Returns
    -------
    dict

    Raises
    ------
    FormatError
        If it is not JSON, a name occurs twice, or a number is not finite.
    """
    try:
        value = json.loads(
            text, object_pairs_hook=_unique, parse_constant=_refuse_constant
        )
    except FormatError:
        raise
    except (ValueError, RecursionError) as error:
        raise FormatError(f"expected JSON in {what}, got {error}") from None
    if type(value) is not dict:
        raise FormatError(f"expected {what} to be a JSON object")
    return value


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise FormatError(f"expected every name once, got {[k for k, _ in pairs][:5]}")
    return found


def _refuse_constant(text: str) -> None:
    raise FormatError(f"expected finite numbers, got {text}")


def parse_dtype(descr: Any) -> np.dtype[Any]:
    """Return a dtype from its description; objects and types without size are none.

    Parameters
    ----------
    descr : str or list
        As `numpy.lib.format.dtype_to_descr` describes it, with lists for tuples.

    Returns
    -------
    numpy.dtype

    Raises
    ------
    FormatError
        If it describes no dtype of plain values.
    """
    wrong = FormatError(f"expected a dtype of numbers or text, got {descr!r}")
    if not _are_plain(descr):
        raise wrong
    try:
        dtype = np.lib.format.descr_to_dtype(_as_descr(descr))
    except (TypeError, ValueError):
        raise wrong from None
    if dtype.itemsize == 0:
        raise wrong
    return dtype


def _are_plain(descr: Any) -> bool:
    if type(descr) is str:
        return _PLAIN_TYPE.fullmatch(descr) is not None
    return type(descr) is list and all(
        type(field) is list
        and len(field) in (2, 3)
        and type(field[0]) is str
        and _are_plain(field[1])
        for field in descr
    )


def _as_descr(descr: Any) -> Any:
    """Turn the lists of JSON into the tuples of numpy."""
    if type(descr) is str:
        return descr
    return [
        (name, _as_descr(kind), *(tuple(shape) for shape in rest))
        for name, kind, *rest in descr
    ]
