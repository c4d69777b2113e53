"""Archives of predictions for the evaluation server of PASCAL VOC."""

import io
import os
import tarfile
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from sklearn.utils._param_validation import StrOptions, validate_params

from .._utils.writing import write_whole
from ..masks import check_masks
from ._voc2012 import CLASS_NAMES, load_voc2012, voc_colors


@validate_params(
    {
        "path": [str, os.PathLike],
        "ids": ["array-like"],
        "predictions": ["array-like"],
        "root": [str, os.PathLike, None],
        "split": [str],
        "competition": [StrOptions({"comp5", "comp6"})],
    },
    prefer_skip_nested_validation=True,
)
def write_voc_submission(
    path: str | os.PathLike[str],
    ids: Sequence[str],
    predictions: Sequence[Any] | NDArray[np.object_],
    *,
    root: str | os.PathLike[str] | None = None,
    split: str = "test",
    competition: str = "comp6",
) -> None:
    """Write predictions into an archive for PASCAL VOC's evaluation server.

    The archive holds one palette PNG per image, with 8 bits per pixel. Its name is
    ``results/VOC2012/Segmentation/<competition>_<split>_cls/<id>.png`` [1]_. The
    archive is written only if all images of the list have a prediction that the server
    can score. After an error, there is no partly written archive.

    Parameters
    ----------
    path : str or path
        The file to write, ``.tgz`` or ``.tar.gz``. Its folder is created. An existing
        file is replaced.
    ids : sequence of str
        The images in the order of the predictions, such as ``load_voc2012(...).ids``.
    predictions : sequence of array-like of integers of shape (height, width)
        A label 0..20 for every pixel of every image.
    root : str, path or None, default=None
        The folder of the data set; see `load_voc2012`. The predictions are compared
        with its list and the sizes of its images.
    split : str, default="test"
        The name of the list of images. The server scores "test".
    competition : {"comp5", "comp6"}, default="comp6"
        "comp5" if only VOC's own training data was used. "comp6" if other data was used
        too, such as the extra annotations or a convnet trained on ImageNet.

    Raises
    ------
    FileNotFoundError
        If the data set is missing.
    ValueError
        If ``path`` does not end in ``.tgz`` or ``.tar.gz``, if an image is missing, is
        not in the list or occurs twice, or if a prediction does not have the size of
        its image or has a label outside 0..20.
    OSError
        If the archive cannot be written.

    References
    ----------
    .. [1] M. Everingham, J. Winn. "The PASCAL Visual Object Classes Challenge 2012
       Development Kit", section 5. 2012.

    Examples
    --------
    >>> from sklearn_zoomout.datasets import load_voc2012, write_voc_submission
    >>> data = load_voc2012(split="test")  # doctest: +SKIP
    >>> predictions = model.predict(data.images)  # doctest: +SKIP
    >>> write_voc_submission("voc.tgz", data.ids, predictions)  # doctest: +SKIP
    """
    path = Path(path).expanduser()
    if not path.name.endswith((".tgz", ".tar.gz")):
        raise ValueError(f"path: expected a name with .tgz or .tar.gz, got {path}.")
    data = load_voc2012(root, split)
    ids = list(ids)
    _check_ids(ids, data.ids, split)
    position = {name: i for i, name in enumerate(data.ids)}
    images = data.images[[position[name] for name in ids]]
    labels = check_masks(predictions, images, "predictions")
    for i, name in enumerate(ids):
        _check_range(labels[i], f"predictions[{i}], image {name}")

    folder = f"results/VOC2012/Segmentation/{competition}_{split}_cls"
    with write_whole(path) as file, tarfile.open(fileobj=file, mode="w:gz") as tar:
        for name, mask in zip(ids, labels, strict=True):
            content = _encode(mask.astype(np.uint8))
            member = tarfile.TarInfo(f"{folder}/{name}.png")
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))


def _check_ids(ids: list[str], expected: list[str], split: str) -> None:
    """Raise an error unless every image of the list occurs once, in any order."""
    count = Counter(ids)
    wrong = {
        "are not in it": count.keys() - set(expected),
        "have no prediction": set(expected) - count.keys(),
        "occur twice": {name for name in count if count[name] > 1},
    }
    for what, names in wrong.items():
        if names:
            raise ValueError(
                f"ids: expected the {len(expected)} images of {split}.txt, got "
                f"{len(ids)}, of which some {what}: "
                f"{', '.join(map(str, sorted(names, key=str)[:5]))} ({len(names)} in "
                "all)."
            )


def _check_range(mask: NDArray[Any], name: str) -> None:
    """Raise an error for labels that the server cannot score, such as -1."""
    largest = len(CLASS_NAMES) - 1
    if mask.min() < 0 or mask.max() > largest:
        raise ValueError(
            f"{name}: expected labels 0..{largest}, got {mask.min()}..{mask.max()}; "
            "every pixel needs a class."
        )


def _encode(mask: NDArray[np.uint8]) -> bytes:
    """Return a PNG of the labels. Its 256 colors make it a PNG of 8 bits."""
    picture = Image.fromarray(mask)
    picture.putpalette(voc_colors().tobytes())
    file = io.BytesIO()
    picture.save(file, "PNG")
    return file.getvalue()
