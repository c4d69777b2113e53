"""What the labels of many mask files are, and which of them mean unlabeled."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ._colors import RGB, as_rgb, color_table, count_colors, is_color, learn_colors
from ._cures import check_values
from ._files import Colors, Numbers
from ._labels import UNLABELED
from ._masks import smallest_type
from ._rules import ColorRule, DrawingRule, NumberRule, as_colors
from ._shapes import Drawing


@dataclass
class Decision:
    """How files become masks.

    Attributes
    ----------
    rule : NumberRule, ColorRule or DrawingRule
        Reads an item.
    items : list
        What it reads, one for every mask.
    names : dict of int to str
        The names of labels.
    colors : dict of int to RGB
        The colors of labels.
    marks : list
        What marks unlabeled pixels.
    is_missing : bool
        Whether the mark that the user gave does not occur.
    notes : list of str
        What else was decided.
    """

    rule: NumberRule | ColorRule | DrawingRule
    items: list[Any]
    names: dict[int, str] = field(default_factory=dict)
    colors: dict[int, RGB] = field(default_factory=dict)
    marks: list[Any] = field(default_factory=list)
    is_missing: bool = False
    notes: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Request:
    """What the user says about the labels; see `read_masks`."""

    colors: Any = None
    names: dict[int, str] | None = None
    unlabeled: Any = None
    background: Any = None

    def target(self, names: Mapping[int, str]) -> Any:
        """Return what marks unlabeled pixels, the label of a name if it is one."""
        labels = {name: label for label, name in names.items()}
        mark = self.unlabeled
        return labels.get(mark, mark) if isinstance(mark, str) else mark


def as_names(names: Any) -> dict[int, str] | None:
    """Return the names of labels, from a list or a mapping in either direction.

    Raises
    ------
    ValueError
        If they are something else.
    """
    if names is None:
        return None
    pairs = list(names.items() if isinstance(names, Mapping) else enumerate(names))
    if all(isinstance(key, str) for key, _ in pairs):
        pairs = [(label, name) for name, label in pairs]
    if isinstance(names, str) or not all(isinstance(name, str) for _, name in pairs):
        raise ValueError(
            "names: expected a list of names, or a dictionary of labels and names, got "
            f"{names!r:.60}."
        )
    return {int(label): name for label, name in pairs}


def decide_numbers(
    paths: Sequence[Path], found: Sequence["Seen"], request: Request
) -> Decision:
    """Decide the labels of files of numbers.

    The numbers are the labels. If the same number has other colors in other files, the
    colors are: each has the number that it has in the first file that it is in.

    Parameters
    ----------
    paths : sequence of Path
        The files.
    found : sequence of Seen
        What they hold.
    request : Request
        What the user says.

    Returns
    -------
    Decision

    Raises
    ------
    ValueError
        If the palettes differ and one has a color twice, or a value is no label.
    """
    tables, colors, notes = _match_palettes(paths, found)
    names = dict(request.names or {})
    for seen in found:
        names = {**_stated_names(seen), **names} if request.names is None else names
    mark, marks = request.unlabeled, Counter[Any]()
    target = request.target(names)
    is_number = isinstance(target, (int, np.integer)) and not isinstance(target, bool)
    if mark is not None and not is_number:
        rgb = as_rgb(target, "unlabeled")
    for path, seen, table in zip(paths, found, tables, strict=True):
        for value, label in table.items():
            marked = mark is not None and (
                label == target if is_number else seen.shown_as(value) == rgb
            )
            stated = value == seen.stated
            if marked or stated:
                table[value] = UNLABELED
                marks[mark if marked else value] += 1
        check_values(np.array([list(table.values())]), str(path))
    labels = {label for table in tables for label in table.values()}
    is_missing = mark is not None and mark not in marks
    decision = Decision(
        NumberRule(smallest_type(sorted(labels))),
        [
            (path, None if all(k == v for k, v in table.items()) else table)
            for path, table in zip(paths, tables, strict=True)
        ],
        names,
        {label: color for label, color in colors.items() if label in labels},
        [*marks, *(["transparent"] if any(s.transparent for s in found) else [])],
        is_missing,
        notes,
    )
    return decision


def _stated_names(seen: "Seen") -> dict[int, str]:
    names = seen.note.get("names") or {}
    return {int(label): str(name) for label, name in names.items()}


def _match_palettes(
    paths: Sequence[Path], found: Sequence["Seen"]
) -> tuple[list[dict[int, int]], dict[int, RGB], list[str]]:
    """Return the label of every number of each file, the colors, and what was done."""
    tables = [{value: value for value in seen.values} for seen in found]
    colors: dict[int, RGB] = {}
    differ = False
    for seen in found:
        for value in seen.classes():
            color = seen.color(value)
            if color is not None:
                differ |= colors.setdefault(value, color) != color
    if not differ:
        return tables, colors, []
    label_of: dict[RGB, int] = {}
    for path, seen, table in zip(paths, found, tables, strict=True):
        own = {value: seen.color(value) for value in seen.classes()}
        if None in own.values() or len(set(own.values())) < len(own):
            raise ValueError(
                f"{path}: expected palettes in which every class has one color, since "
                "the palettes of the files differ, got a file with two numbers of one "
                "color or without a palette; save all masks with the same palette, or "
                "pass colors=."
            )
        for value, color in own.items():
            assert color is not None
            if color not in label_of:
                label_of[color] = _free_label(label_of.values(), value)
            table[value] = label_of[color]
    note = (
        "the palettes differ: labels are matched by color, and numbered as in "
        f"{paths[0].name}"
    )
    return tables, {label: color for color, label in label_of.items()}, [note]


def decide_colors(
    paths: Sequence[Path], found: Sequence["Seen"], request: Request
) -> Decision:
    """Decide the labels of pictures in which every class has a color.

    Parameters
    ----------
    paths : sequence of Path
        The files.
    found : sequence of Seen
        What they hold.
    request : Request
        What the user says.

    Returns
    -------
    Decision

    Raises
    ------
    ValueError
        If the mark of unlabeled pixels is no color, or the pictures have too many.
    """
    table, names = color_table(request.colors) if request.colors else ({}, {})
    names = names if request.names is None else request.names
    target = request.target(names)
    label_to_rgb = {label: rgb for rgb, label in table.items()}
    if isinstance(target, (int, np.integer)) and target in label_to_rgb:
        target = label_to_rgb[int(target)]
    rgb = None if target is None else as_rgb(target, "unlabeled")
    counts = [seen.colors for seen in found if seen.colors is not None]
    is_missing = rgb is not None and not any(
        (rgb[0] << 16 | rgb[1] << 8 | rgb[2]) in count.codes for count in counts
    )
    notes = []
    if not table:
        known = [] if rgb is None else [rgb]
        learned = [c for c in _learn_colors(paths, counts, known) if c != rgb]
        table = {color: label for label, color in enumerate(learned)}
        notes = ["the labels are numbered by colors that were found in the files"]
    colors = {label: color for color, label in table.items() if color != rgb}
    if rgb is not None:
        table[rgb] = UNLABELED
    rule = ColorRule(table, bool(request.colors), smallest_type(sorted(colors)))
    marks = [] if rgb is None else [rgb]
    transparent = ["transparent"] if any(seen.transparent for seen in found) else []
    return Decision(
        rule, list(paths), names, colors, [*marks, *transparent], is_missing, notes
    )


def _learn_colors(
    paths: Sequence[Path], counts: Sequence[Any], known: Sequence[RGB]
) -> list[RGB]:
    """Return the colors of classes in files; errors name the first one."""
    name = f"{paths[0]} and the other files" if len(paths) > 1 else f"{paths[0]}"
    try:
        return learn_colors(counts, known)
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from error


def decide_drawings(drawings: Sequence[Drawing], request: Request) -> Decision:
    """Decide the labels of classes that have names.

    Parameters
    ----------
    drawings : sequence of Drawing
        The annotated objects of the images.
    request : Request
        What the user says.

    Returns
    -------
    Decision

    Raises
    ------
    ValueError
        If a class is not among the names that the user lists.
    """
    drawn = {shape.label for drawing in drawings for shape in drawing.shapes}
    mark = request.unlabeled
    if request.names is not None:
        labels = {name: label for label, name in request.names.items()}
        unknown = sorted(drawn - set(labels) - {mark, request.background})
        if unknown:
            raise ValueError(
                f"names: expected names for all classes of the files, got none for "
                f"{unknown[:5]}; list them, or pass a name of pixels without a label "
                "as unlabeled."
            )
    else:
        labels = _number_classes(drawings, drawn - {mark})
    background = request.background
    if isinstance(background, str):
        background = labels.setdefault(background, _free_label(labels.values()))
    elif background is not None:
        _refuse_taken(background, {k: n for n, k in labels.items() if n != mark})
    names = {label: name for name, label in labels.items() if name != mark}
    mark = mark if isinstance(mark, str) else names.get(mark, mark)
    names = {label: name for label, name in names.items() if name != mark}
    outside = UNLABELED if background is None else int(background)
    colors = {
        labels[name]: as_rgb(color)
        for drawing in drawings
        for name, color in drawing.colors.items()
        if name in labels and is_color(color)
    }
    if isinstance(request.colors, Mapping):
        by_name: dict[Any, int] = dict(labels)
        for key, color in request.colors.items():
            label = by_name[key] if key in by_name else int(key)
            colors[label] = as_rgb(color)
    if mark is not None:
        labels[mark] = UNLABELED
    marks = [mark] if mark is not None else []
    return Decision(
        DrawingRule(labels, outside, smallest_type([outside, *labels.values()])),
        list(drawings),
        names,
        colors,
        [*marks, *(["outside of shapes"] if background is None else [])],
        mark is not None and mark not in drawn,
    )


def _refuse_taken(background: int, names: Mapping[int, str]) -> None:
    """Refuse a number of the pixels outside of all shapes that is that of a class."""
    if background in names:
        name = names[background]
        raise ValueError(
            f"background: expected a number that no class has, got {background}, which "
            f"is that of {name!r}; pass background='background', or background="
            f"{name!r} if the pixels outside of all shapes are of this class."
        )


def _number_classes(drawings: Sequence[Drawing], drawn: set[str]) -> dict[str, int]:
    """Return the label of every class: its number, or that of its place by name."""
    labels: dict[str, int] = {}
    for drawing in drawings:
        for name, number in drawing.numbers.items():
            if name not in labels:
                labels[name] = _free_label(labels.values(), number)
    for name in sorted(drawn - set(labels)):
        labels[name] = _free_label(labels.values())
    return labels


def _free_label(taken: Iterable[int], *wanted: int) -> int:
    """Return the wanted label, or else the smallest, that is not taken."""
    known = set(taken)
    return next(k for k in (*wanted, *range(len(known) + 1)) if k not in known)


@dataclass(frozen=True)
class Seen:
    """What a file holds, without its pixels."""

    kind: str  # "numbers", "palette", "gray" or "colors"
    values: list[int]
    palette: NDArray[np.uint8] | None
    transparent: bool
    note: dict[str, Any]
    colors: Any = None

    @property
    def stated(self) -> int | None:
        """The number of unlabeled pixels that `write_labels` wrote into the file."""
        return self.note.get("unlabeled")

    def classes(self) -> list[int]:
        """Return the numbers that are not stated to be unlabeled."""
        return [value for value in self.values if value != self.stated]

    def shown_as(self, value: int) -> RGB | None:
        """Return the color of a number, or the gray that programs show instead."""
        return (value,) * 3 if self.palette is None else self.color(value)

    def color(self, value: int) -> RGB | None:
        """Return the color of a number in the palette, if it has one."""
        if self.palette is None or not 0 <= value < len(self.palette):
            return None
        red, green, blue = self.palette[value].tolist()
        return red, green, blue


def look_at(content: Numbers | Colors, *, colors: bool) -> Seen:
    """Return what a file holds; `colors` counts those of a palette too."""
    transparent = content.transparent is not None
    if isinstance(content, Numbers) and not colors:
        seen = content.values
        if content.transparent is not None:
            seen = seen[~content.transparent]
        values = np.unique(seen).tolist()
        kind = "numbers" if content.palette is None else "palette"
        return Seen(kind, values, content.palette, transparent, content.note)
    picture = as_colors(content)
    red, green, blue = np.moveaxis(picture.rgb, -1, 0)
    gray = bool((red == green).all() and (green == blue).all())
    values = np.unique(red).tolist() if gray else []
    kind = "gray" if gray else "colors"
    return Seen(kind, values, None, transparent, {}, count_colors(picture))
