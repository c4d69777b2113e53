"""Mutations of files: blind ones, and ones that know where a format has its numbers."""

import hashlib
import io
import json
import os
import pickle
import re
import struct
import zipfile
import zlib

_NUMBERS = (0, 1, 2, 127, 255, 256, 32_767, 65_535, 10**6, 170_000_000, 2**31 - 1)
_NUMBERS += (2**31, 2**32 - 1, 2**63 - 1, 2**63, 2**64 - 1, 10**12)
_TEXTS = (b"0", b"-1", b"1e9", b"1e308", b"NaN", b"99999999999", b"1" * 5000, b"x", b"")
_VALUES = (None, True, 0, -1, 0.5, 1e308, 10**12, 10**30, "", "x", "0" * 1000, [], {})
_VALUES += (float("nan"), [[]], {"a": 1}, [1, "x", None], [10**12] * 3)

# More text than Pillow reads of a chunk.
_BOMB = zlib.compress(b"\0" * 3_000_000)


class Payload:
    """Makes a folder when it is unpickled, which shows that code of a file ran."""

    def __init__(self, canary):
        self.canary = canary

    def __reduce__(self):
        return os.mkdir, (self.canary,)


def mutate(rng, content, others, canary):
    """Return other bytes, changed in one to three ways.

    Parameters
    ----------
    rng : random.Random
        Decides what is changed.
    content : bytes
        A file.
    others : list of bytes
        Files of the same kind, for splices.
    canary : str
        The folder that a payload makes.

    Returns
    -------
    bytes
    """
    if rng.random() < 0.01:
        return _payload(rng, canary)
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        ways = _aware_ways(content) if rng.random() < 0.5 else ()
        way = rng.choice(ways or _BLIND)
        content = _splice(rng, content, others) if way is _splice else way(rng, content)
    return content


def _flip(rng, content):
    changed = bytearray(content)
    for _ in range(rng.choice((1, 1, 2, 8, 32)) if changed else 0):
        changed[rng.randrange(len(changed))] ^= 1 << rng.randrange(8)
    return bytes(changed)


def _truncate(rng, content):
    return content[: rng.randrange(len(content) + 1)]


def _insert(rng, content):
    place = rng.randrange(len(content) + 1)
    new = rng.choice((rng.randbytes(rng.choice((1, 2, 4, 100))), b"\0" * 1000))
    return content[:place] + new + content[place:]


def _delete(rng, content):
    place = rng.randrange(len(content) + 1)
    return content[:place] + content[place + rng.choice((1, 2, 4, 50)) :]


def _repeat(rng, content):
    place = rng.randrange(len(content) + 1)
    part = content[place : place + rng.choice((1, 12, 50))]
    return content[:place] + part * rng.choice((2, 20, 200)) + content[place:]


def _splice(rng, content, others):
    other = rng.choice(others)
    return (
        content[: rng.randrange(len(content) + 1)]
        + other[rng.randrange(len(other) + 1) :]
    )


def _set_number(rng, content):
    """Write an extreme number, mostly into the first bytes, where sizes are."""
    size, order = rng.choice((1, 2, 4, 8)), rng.choice(("little", "big"))
    if len(content) < size:
        return content
    last = len(content) - size
    place = rng.randrange(min(last, 64) + 1 if rng.random() < 0.6 else last + 1)
    number = (rng.choice(_NUMBERS) % 256**size).to_bytes(size, order)
    return content[:place] + number + content[place + size :]


def _set_text(rng, content):
    """Replace a number that is written in digits."""
    found = list(re.finditer(rb"\d+", content[:100_000]))
    if not found:
        return _flip(rng, content)
    match = rng.choice(found)
    return content[: match.start()] + rng.choice(_TEXTS) + content[match.end() :]


_BLIND = (_flip, _truncate, _insert, _delete, _repeat, _splice, _set_number, _set_text)


def _change_png(rng, content):
    """Change a chunk, with a right checksum, so that decoders get to see it."""
    chunks, place = [], 8
    while place + 12 <= len(content):
        (size,) = struct.unpack(">I", content[place : place + 4])
        kind, body = content[place + 4 : place + 8], content[place + 8 :][:size]
        chunks.append((kind, body))
        place += 12 + size
    if not chunks:
        return _flip(rng, content)
    i = rng.randrange(len(chunks))
    kind, body = chunks[i]
    way = rng.randrange(6)
    if way < 3:
        chunks[i] = kind, rng.choice((_flip, _set_number, _truncate))(rng, body)
    elif way == 3:
        chunks.insert(i, chunks[rng.randrange(len(chunks))])
    elif way == 4:
        del chunks[i]
    else:
        text = rng.choice(((b"zTXt", b"a\0\0"), (b"iTXt", b"a\0\1\0\0\0")))
        chunks.insert(i, (text[0], text[1] + _BOMB))
    return content[:8] + b"".join(
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", _crc(kind, body))
        for kind, body in chunks
    )


def _crc(kind, body):
    return zlib.crc32(kind + body)


def _change_tiff(rng, content):
    """Change the type, the count or the value of a tag."""
    order = "<" if content[:2] == b"II" else ">"
    is_big = content[2:4] in (b"+\0", b"\0+")
    try:
        if is_big:
            (place,) = struct.unpack(order + "Q", content[8:16])
            (n_tags,) = struct.unpack(order + "Q", content[place : place + 8])
            place, size = place + 8, 20
        else:
            (place,) = struct.unpack(order + "I", content[4:8])
            (n_tags,) = struct.unpack(order + "H", content[place : place + 2])
            place, size = place + 2, 12
    except struct.error:
        return _flip(rng, content)
    tag = place + size * rng.randrange(max(min(n_tags, 40), 1))
    places = ((0, 2), (2, 2), (4, 4), (8, 4), (8, 2), (12, 8)) if is_big else ()
    offset, width = rng.choice(places or ((0, 2), (2, 2), (4, 4), (8, 4), (8, 2)))
    number = rng.choice((*_NUMBERS, rng.randrange(400))) % 256**width
    new = number.to_bytes(width, "little" if order == "<" else "big")
    return content[: tag + offset] + new + content[tag + offset + width :]


def _change_json(rng, content):
    """Replace, remove or double a value, or nest one deeply."""
    if rng.random() < 0.03:
        return b"[" * 100_000
    if rng.random() < 0.03:
        return _set_text(rng, content)
    try:
        root = [json.loads(content)]
    except (ValueError, RecursionError):
        return _flip(rng, content)
    node, key = root, 0
    while rng.random() < 0.8:
        inner = node[key]
        if not inner or not isinstance(inner, (list, dict)):
            break
        node = inner
        is_list = isinstance(node, list)
        key = rng.randrange(len(node)) if is_list else rng.choice(list(node))
    way = rng.randrange(5)
    if way == 0 and node is not root:
        del node[key]
    elif way == 1 and isinstance(node, list):
        node.insert(key, node[key])
    else:
        node[key] = rng.choice(_VALUES)
    return json.dumps(root[0]).encode() if root else b""


def _change_xml(rng, content):
    """Exchange values, or declare entities that expand without a bound."""
    if rng.random() < 0.1:
        levels = "".join(
            f'<!ENTITY a{i} "{f"&a{i - 1};" * 10 if i else "ha"}">' for i in range(20)
        )
        return f"<!DOCTYPE b [{levels}]><annotations>&a19;</annotations>".encode()
    if rng.random() < 0.05:
        return b"<annotations><image>" + b"<a>" * 100_000
    found = list(re.finditer(rb'"[^"]*"', content))
    if not found:
        return _flip(rng, content)
    match = rng.choice(found)
    value = rng.choice((*_TEXTS, b"1,2;3", b"1e9,1e9;" * 3 + b"1,1", b"4294967296,1"))
    return content[: match.start() + 1] + value + content[match.end() - 1 :]


def _change_header(rng, content):
    """Change the JSON in front of arrays; files of models are signed again."""
    size = int.from_bytes(content[:8], "little")
    header, body = content[8 : 8 + size], content[8 + size :]
    if b"manifest_sha256" not in header:
        changed = _change_json(rng, header)
        return len(changed).to_bytes(8, "little") + changed + body
    try:
        parsed = json.loads(header)
        metadata = parsed["__metadata__"]
        changed = rng.choice((_change_json, _change_json, _set_text, _flip))(
            rng, metadata["manifest"].encode()
        )
        metadata["manifest"] = changed.decode("utf-8", "replace")
        digest = hashlib.sha256(metadata["manifest"].encode()).hexdigest()
        metadata["manifest_sha256"] = digest
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return sign(_flip(rng, content))
    new = json.dumps(parsed, separators=(",", ":")).encode()
    return sign(len(new).to_bytes(8, "little") + new + body)


def sign(content):
    """Return the bytes of a model with a right digest at their end."""
    return content[:-32] + hashlib.sha256(content[:-32]).digest()


def _aware_ways(content):
    """Return the ways that fit the format of a file."""
    if content[:8] == b"\x89PNG\r\n\x1a\n":
        return (_change_png,)
    if content[:4] in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"):
        return (_change_tiff,)
    if content[8:9] == b"{":
        return (_change_header,)
    if content[:1] in (b"{", b"["):
        return (_change_json,)
    if content[:1] == b"<":
        return (_change_xml,)
    return (_set_number, _set_text)


def _payload(rng, canary):
    """Return a file that makes the folder `canary` if it is unpickled."""
    run = pickle.dumps(Payload(canary), protocol=rng.choice((2, 4)))
    header = b"{'descr': '|O', 'fortran_order': False, 'shape': (1,), }"
    npy = b"\x93NUMPY\x01\0" + struct.pack("<H", len(header)) + header + run
    if rng.random() < 0.5:
        return rng.choice((run, npy))
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name, part in (
            (rng.choice(("archive/data.pkl", "a.npy")), run),
            ("archive/version", b"3"),
            ("archive/byteorder", b"little"),
        ):
            archive.writestr(zipfile.ZipInfo(name), part)  # without the time
    return file.getvalue()
