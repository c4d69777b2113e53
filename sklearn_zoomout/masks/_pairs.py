"""Which mask belongs to which image: by name, or by order."""

import os
import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from PIL import Image

from .._utils.foreign_files import open_file
from .._utils.lazy import LazySequence
from .._utils.pictures import ORIENTATION
from ._annotations import SUFFIXES as ANNOTATIONS
from ._annotations import read_annotations
from ._files import SUFFIXES as FILES
from ._shapes import Drawing

#: The mask of one image: a file, or shapes.
Source = Path | Drawing
_PHOTOGRAPHS = {".bmp", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp"}
_FORMATS = ["BMP", "GIF", "JPEG", "PNG", "PPM", "TGA", "TIFF", "WEBP"]
_ROTATED = range(5, 9)  # values of EXIF's orientation that swap height and width


def list_sources(masks: Any, images: Sequence[Path]) -> list[Source]:
    """Return the masks in a folder or a list of files.

    Parameters
    ----------
    masks : str, path, or sequence of them
        A folder, a file or files.
    images : sequence of pathlib.Path
        The images, which are no masks even if they are in the same folder.

    Returns
    -------
    list of Path or Drawing
        Those of a folder are sorted by name, without an end that all of them share.

    Raises
    ------
    FileNotFoundError
        If a file or folder does not exist.
    ValueError
        If there is none, or a file holds no masks.
    """
    paths = _list_files(masks, FILES | ANNOTATIONS, "masks")
    is_image = {os.path.realpath(path) for path in images}
    sources: list[Source] = []
    for path in paths:
        if path.suffix.lower() in ANNOTATIONS:
            sources += read_annotations(path)
        elif os.path.realpath(path) not in is_image:
            sources.append(path)
    if not sources:
        raise ValueError(
            f"masks: expected files that end in {sorted(FILES | ANNOTATIONS)}, got "
            f"none in {masks}; save the masks there."
        )
    return sources


def list_images(like: Any) -> list[Path] | None:
    """Return the files of images, or None if they are arrays.

    Parameters
    ----------
    like : None, str, path, FileSequence or sequence
        The images, as `read_masks` takes them.

    Returns
    -------
    list of pathlib.Path or None
    """
    if like is None:
        return None
    if isinstance(like, (str, os.PathLike)):
        return _list_files(like, _PHOTOGRAPHS, "like")
    items = like.items if isinstance(like, LazySequence) else like
    if all(isinstance(item, (str, os.PathLike)) for item in items):
        return [Path(item) for item in items]
    return None


def pair_by_name(sources: Sequence[Source], images: Sequence[Path]) -> list[Source]:
    """Return the mask of every image.

    The name of a mask is that of its image, or begins with it, as "photo_labels.png"
    does with that of "photo.jpg".

    Parameters
    ----------
    sources : sequence of Path or Drawing
        The masks, in any order. Those of no image are left out.
    images : sequence of pathlib.Path
        The images.

    Returns
    -------
    list of Path or Drawing

    Raises
    ------
    ValueError
        If an image has no mask, or several.
    """
    stems = [path.stem for path in images]
    twice = sorted(stem for stem, n in Counter(stems).items() if n > 1)
    if twice:
        raise ValueError(
            "like: expected images of different names, got several with the names "
            f"{twice[:5]}; pass the masks in the order of the images, and the images "
            "as arrays."
        )
    found: dict[str, list[tuple[bool, Source]]] = {stem: [] for stem in stems}
    for source in sources:
        name = source_stem(source)
        stem = next((stem for stem in _beginnings(name) if stem in found), None)
        if stem is not None:
            found[stem].append((name != stem, source))
    pairs = []
    for path, stem in zip(images, stems, strict=True):
        best = min((other for other, _ in found[stem]), default=True)
        fitting_sources = [s for other, s in found[stem] if other == best]
        if len(fitting_sources) != 1:
            lacking = [p.name for p in images if not found[p.stem]]
            got = (
                f"none for {lacking[:5]}{' and others' if len(lacking) > 5 else ''}"
                if lacking
                else f"{[source_name(s) for s in fitting_sources]} for {path.name}"
            )
            raise ValueError(
                f"masks: expected one mask for every image, of the same name, got "
                f"{got}; rename the files, or pass them in the order of the images "
                "and the images as arrays."
            )
        pairs.append(fitting_sources[0])
    return pairs


def image_shape(path: Path) -> tuple[int, int] | None:
    """Return height and width of an upright photograph, or None if it is none."""
    try:
        with open_file(path) as file, Image.open(file, formats=_FORMATS) as picture:
            width, height = picture.size
            turned = picture.getexif().get(ORIENTATION) in _ROTATED
    except Exception:  # whatever Pillow raises; the reader of images tells
        return None
    return (width, height) if turned else (height, width)


def source_name(source: Source) -> str:
    """Return the path of a mask for messages, and the image if the file has several."""
    if isinstance(source, Path):
        return str(source)
    return f"{source.file}, image {source.name!r}"


def source_stem(source: Source) -> str:
    """Return the name of a mask without folder and ending."""
    if isinstance(source, Path):
        return source.stem
    name = PurePosixPath(source.name.replace("\\", "/"))
    return name.stem if name.suffix.lower() in _PHOTOGRAPHS else name.name


def _beginnings(name: str) -> list[str]:
    """Return a name, and what comes before its marks between words, longest first."""
    ends = [mark.start() for mark in re.finditer("[^0-9A-Za-z]", name)]
    return [name, *(name[:end] for end in reversed(ends))]


def _list_files(paths: Any, suffixes: set[str], name: str) -> list[Path]:
    if not isinstance(paths, (str, os.PathLike)):
        return [Path(path) for path in paths]
    path = Path(paths)
    if path.is_file():
        return [path]
    if not path.is_dir():
        raise FileNotFoundError(f"{name}: expected a folder or a file, got {path}.")
    files = [p for p in path.iterdir() if p.suffix.lower() in suffixes]
    return _sort_as_images(files)


def _sort_as_images(files: list[Path]) -> list[Path]:
    """Sort files as without the end that all names share, such as "_labels".

    Otherwise "a_10_labels.png" would come before "a_1_labels.png", and "a_10.jpg" after
    "a_1.jpg".
    """
    backward = os.path.commonprefix([path.stem[::-1] for path in files])
    words = re.search(r".*[^0-9A-Za-z]", backward)
    n_shared = len(words.group()) if words and len(files) > 1 else 0
    return sorted(files, key=lambda p: f"{p.stem[: len(p.stem) - n_shared]}.{p.suffix}")
