"""`read_mask` and `read_masks`: masks as programs save them."""

import os
import warnings
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..exceptions import UnlabeledWarning
from ..images import check_sequence
from ._cures import check_shape
from ._decisions import (
    Decision,
    Request,
    as_names,
    decide_colors,
    decide_drawings,
    decide_numbers,
    look_at,
)
from ._files import read_file
from ._labels import count_labels
from ._masks import Masks
from ._pairs import (
    Source,
    image_shape,
    list_images,
    list_sources,
    pair_by_name,
    source_name,
)
from ._rules import ColorRule
from ._shapes import Drawing

#: A file or folder.
PathLike = str | os.PathLike[str]


def read_masks(
    masks: PathLike | Sequence[PathLike],
    like: Any = None,
    *,
    colors: Sequence[Any] | Mapping[Any, Any] | None = None,
    names: Sequence[str] | Mapping[Any, Any] | None = None,
    unlabeled: Any = None,
    background: int | str | None = None,
) -> Masks:
    """Read the masks of many images, as painting and annotation programs save them.

    The files are of one kind:

    - **Numbers**: PNG or TIFF files of grays or with a palette, arrays in ``.npy``
      files, label images of napari and ilastik (also ``.h5``, with h5py). The numbers
      are the labels. If a number has other colors in other files, the palettes differ.
      Then labels belong to colors, and a color has the number that it has in the first
      file with it.
    - **Colors**: RGB or RGBA pictures. Each color of ``colors`` has a label. Without
      it, every color that fills 3 x 3 pixels somewhere has one, and so has every other
      color of 10 pixels or more that does not lie between two colors of four times as
      many pixels. Pixels of other colors are those of soft edges, and get the most
      similar of the colors close by. Pixels with an alpha of less than one half are
      unlabeled. Pictures of grays alone are numbers.
    - **Shapes** with names: JSON files of labelme (polygon, rectangle, circle, line,
      point, mask), exports of Label Studio as JSON (brush, polygon, rectangle,
      ellipse), of CVAT as "CVAT for images 1.1" (polygon, box, ellipse, line, point,
      mask), and COCO (polygons, run lengths, boxes). Later shapes lie above earlier
      ones, in CVAT those of a larger z_order. Lines are 10 pixels wide, and points have
      a radius of 5. Pixels outside of all shapes are unlabeled, or have the label
      ``background``. COCO and CVAT number the classes, otherwise names are numbered
      from 0 in alphabetical order.

    All files are read once to decide this. Nothing is kept: a mask is read again when
    it is asked for.

    Parameters
    ----------
    masks : str, path, or sequence of them
        A folder, a file, or several files.
    like : str, path, FileSequence or sequence, default=None
        The images: a folder, their files, or arrays. Files are paired by name. The name
        of a mask is that of its image without the ending, or begins with it and goes on
        with a character that is neither letter nor digit, as in "photo_labels.png" or,
        within an export, "photo.jpg". Masks of no image are left out. Arrays are paired
        by order. None takes all masks in the order of their names.
    colors : sequence of color, or mapping of label or name to color, default=None
        The color of every label, such as ``{"sky": "blue", "tree": (0, 128, 0)}``. The
        k-th color of a sequence is that of label k, and so is that of the k-th name.
        Other colors are an error, unless they are mixtures of two listed ones.
    names : sequence of str, or mapping of label to name, default=None
        The names of the labels, the k-th that of label k. They number the classes of
        shapes.
    unlabeled : int, color or str, default=None
        What marks unlabeled pixels: a label, a color, or the name of a class. None
        leaves all labels as they are, except those that a file states to be unlabeled
        (`write_labels`).
    background : int or str, default=None
        The label or name of the pixels outside of all shapes.

    Returns
    -------
    Masks
        A sequence of masks, arrays of signed integers of shape (height, width), with -1
        where a pixel is unlabeled. It can be passed to ``fit`` and to
        ``cross_val_score``, and says what was decided.

    Raises
    ------
    OSError
        If a file or folder cannot be opened: FileNotFoundError, PermissionError.
    ImportError
        If a file is ``.h5``, and h5py is not installed.
    ValueError
        If a file is damaged, no mask, or larger than the limit, the files are of
        several kinds, an image has no mask or another size, a color is not listed, or
        palettes differ and have a color twice.

    Warns
    -----
    UnlabeledWarning
        If ``unlabeled`` occurs in no file.

    Notes
    -----
    No other errors are raised, whatever the files are, and those about a file name it.
    The limit is ``PIL.Image.MAX_IMAGE_PIXELS`` pixels of a mask, and 2**30 bytes of an
    annotation file. See "Files from strangers" in the user guide.

    See Also
    --------
    read_mask : Read the mask of one image.
    mark_unlabeled : Turn a label into -1, for masks in memory.
    write_labels : Write label maps that open in color.

    Examples
    --------
    >>> import tempfile
    >>> import numpy as np
    >>> from PIL import Image
    >>> from sklearn_zoomout import read_masks
    >>> folder = tempfile.TemporaryDirectory()
    >>> strokes = np.full((40, 60, 3), 255, dtype=np.uint8)
    >>> strokes[5:10, 5:50], strokes[30:35, 5:50] = (255, 0, 0), (0, 0, 255)
    >>> Image.fromarray(strokes).save(f"{folder.name}/photo_strokes.png")
    >>> image = np.zeros((40, 60, 3), dtype=np.uint8)
    >>> read_masks(
    ...     folder.name,
    ...     [image],
    ...     colors={"roof": "red", "sea": "blue"},
    ...     unlabeled="white",
    ... )
    Masks(1 mask, not in memory)
      0 'roof' #ff0000: 9.4 % of the pixels
      1 'sea' #0000ff: 9.4 % of the pixels
      unlabeled, by (255, 255, 255): 81.2 % of the pixels
    >>> folder.cleanup()
    """
    images = list_images(like)
    sources = list_sources(masks, images or [])
    shapes: list[tuple[int, int] | None] = [None] * len(sources)
    if images is not None:
        sources = pair_by_name(sources, images)
        shapes = [image_shape(path) for path in images]
    elif like is not None:
        check_sequence(like, "like", "an image", single_ndim=3)
        if len(like) != len(sources):
            raise ValueError(
                f"masks: expected one mask per image, got {len(sources)} masks for "
                f"{len(like)} images; pass the files of the images, which are paired "
                "by name."
            )
        shapes = [np.shape(image)[:2] for image in like]
    request = Request(colors, as_names(names), unlabeled, background)
    decision = _decide(sources, request)
    return _survey(decision, sources, shapes, request)


def read_mask(
    path: PathLike,
    like: Any = None,
    *,
    colors: Sequence[Any] | Mapping[Any, Any] | None = None,
    names: Sequence[str] | Mapping[Any, Any] | None = None,
    unlabeled: Any = None,
    background: int | str | None = None,
) -> NDArray[Any]:
    """Read the mask of one image.

    Parameters
    ----------
    path : str or path
        A file of one of the kinds of `read_masks`.
    like : str, path or ndarray, default=None
        The image, as a file or an array. The file chooses among the masks of an export
        of several images.
    colors, names, unlabeled, background
        See `read_masks`.

    Returns
    -------
    ndarray of signed integers of shape (height, width)
        The labels. Unlabeled pixels are -1.

    Raises
    ------
    OSError, ImportError, ValueError
        See `read_masks`.

    Warns
    -----
    UnlabeledWarning
        If ``unlabeled`` does not occur.

    See Also
    --------
    read_masks : Read the masks of many images, so that their labels agree.

    Examples
    --------
    >>> import tempfile
    >>> import numpy as np
    >>> from sklearn_zoomout import read_mask
    >>> with tempfile.NamedTemporaryFile(suffix=".npy") as file:
    ...     np.save(file.name, np.array([[0, 1, 2]]))
    ...     read_mask(file.name, unlabeled=0)
    array([[-1,  1,  2]], dtype=int8)
    """
    found = read_masks(
        [path],
        None if like is None else [like],
        colors=colors,
        names=names,
        unlabeled=unlabeled,
        background=background,
    )
    if len(found) != 1:
        raise ValueError(
            f"{path}: expected the mask of one image, got those of {len(found)}; pass "
            "the name of the image as like, or call read_masks."
        )
    return found[0]


def _decide(sources: list[Source], request: Request) -> Decision:
    """Find out of which kind the files are, and what their labels are."""
    drawings = [source for source in sources if isinstance(source, Drawing)]
    paths = [source for source in sources if isinstance(source, Path)]
    if drawings and paths:
        raise ValueError(
            f"masks: expected files of one kind, got shapes in {drawings[0].file} and "
            f"pixels in {paths[0]}; read them by two calls."
        )
    if drawings:
        return decide_drawings(drawings, request)
    if request.background is not None:
        raise ValueError(
            "background: expected files of shapes, got files that hold a label for "
            "every pixel; leave it out."
        )
    by_colors = request.colors is not None
    seen = [look_at(read_file(path), colors=by_colors) for path in paths]
    kinds = {file.kind for file in seen}
    if by_colors or "colors" in kinds:
        if "numbers" in kinds:
            path = paths[[file.kind for file in seen].index("numbers")]
            raise ValueError(
                f"{path}: expected colors as in the other files, got a number for "
                "every pixel; pass colors=, or read these files by another call."
            )
        if "palette" in kinds:
            seen = [look_at(read_file(path), colors=True) for path in paths]
        return decide_colors(paths, seen, request)
    return decide_numbers(paths, seen, request)


def _survey(
    decision: Decision,
    sources: list[Source],
    shapes: Sequence[tuple[int, ...] | None],
    request: Request,
) -> Masks:
    """Read every mask once: check its size and count its labels."""
    counts: Counter[int] = Counter()
    n_soft = 0
    for item, source, shape in zip(decision.items, sources, shapes, strict=True):
        if isinstance(decision.rule, ColorRule):
            mask, soft = decision.rule.label(item)
            n_soft += soft
        else:
            mask = decision.rule(item)
        if shape is not None:
            check_shape(mask, source_name(source), shape)
        labels, pixels = count_labels(mask)
        counts.update(dict(zip(labels.tolist(), pixels.tolist(), strict=True)))
    total = max(counts.total(), 1)
    shares = {label: n / total for label, n in counts.items()}
    if decision.is_missing:
        warnings.warn(
            f"masks: no file has {request.unlabeled!r}, which was to mark unlabeled "
            f"pixels; the labels are {sorted(counts)}, all of them classes; pass the "
            "mark that the files have.",
            UnlabeledWarning,
            stacklevel=3,
        )
    if n_soft:
        decision.notes.append(
            f"soft edges, {100 * n_soft / total:.2g} % of the pixels, have the nearest "
            "color close by"
        )
    return Masks(
        decision.rule,
        decision.items,
        shares=shares,
        names=decision.names,
        colors=decision.colors,
        unlabeled=decision.marks,
        notes=decision.notes,
    )
