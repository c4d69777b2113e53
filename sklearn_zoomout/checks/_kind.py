"""The kinds of steps: what they take, and what they return."""

from typing import NamedTuple


class Kind(NamedTuple):
    """What an estimator takes and what it returns.

    Attributes
    ----------
    input : {"images", "superpixels", "table"}
        What ``fit`` takes.
    output : {"superpixels", "table", "labels"}
        What ``transform`` or ``predict`` returns.
    """

    input: str
    output: str


#: The kinds of steps by their names: what they take, and what they return.
KINDS: dict[str, Kind] = {
    "segmenter": Kind("images", "superpixels"),
    "level": Kind("superpixels", "table"),
    "classifier": Kind("table", "labels"),
    "pipeline": Kind("images", "labels"),
    "extractor": Kind("images", "table"),
    "labeler": Kind("superpixels", "labels"),
    "selector": Kind("table", "table"),
}


def name_of_kind(kind: Kind) -> str:
    """Return the name of a kind among `KINDS`."""
    return next(name for name, known in KINDS.items() if known == kind)


def check_kind(kind: str) -> Kind:
    """Return the kind of a name, and refuse other names."""
    if kind not in KINDS:
        raise ValueError(f"kind: expected one of {list(KINDS)}, got {kind!r}.")
    return KINDS[kind]
