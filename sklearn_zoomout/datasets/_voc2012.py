"""Segmentation images of PASCAL VOC 2012, and the extra annotations of SBD."""

import os
import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.io import loadmat, whosmat
from sklearn.utils import Bunch
from sklearn.utils._param_validation import StrOptions, validate_params

from .._utils.foreign_files import FileError, open_file
from .._utils.pictures import open_picture
from ..masks import UNLABELED
from ._reading import FileSequence, read_description
from ._remote import DATA_VARIABLE, find_data_home

VOC_URL = "http://host.robots.ox.ac.uk/pascal/VOC/voc2012/VOCtrainval_11-May-2012.tar"
SBD_URL = (
    "https://www2.eecs.berkeley.edu/Research/Projects/CS/vision/grouping/"
    "semantic_contours/benchmark.tgz"
)
# fmt: off
CLASS_NAMES = (
    "background", "aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car",
    "cat", "chair", "cow", "diningtable", "dog", "horse", "motorbike", "person",
    "pottedplant", "sheep", "sofa", "train", "tvmonitor",
)
# fmt: on
_UNLABELED_INDEX = 255
_LISTS = Path("ImageSets", "Segmentation")
_CURE = "extract it from its archive again"


@validate_params(
    {
        "root": [str, os.PathLike, None],
        "split": [str],
        "annotations": [StrOptions({"voc", "augmented"})],
        "sbd_root": [str, os.PathLike, None],
    },
    prefer_skip_nested_validation=True,
)
def load_voc2012(
    root: str | os.PathLike[str] | None = None,
    split: str = "train",
    *,
    annotations: str = "voc",
    sbd_root: str | os.PathLike[str] | None = None,
) -> Bunch:
    """Load the segmentation images of PASCAL VOC 2012: 20 classes and background.

    This function reads only the lists, and checks that every file exists. An image or a
    mask is read and checked at each access.

    Parameters
    ----------
    root : str, path or None, default=None
        The folder that holds ``VOCdevkit``, or ``VOCdevkit`` itself, or
        ``VOCdevkit/VOC2012``. None is the folder in the environment variable
        ``SKLEARN_ZOOMOUT_DATA``. If the variable is not set, None is the folder
        ``zoomout`` in scikit-learn's data home. Nothing is downloaded.
    split : str, default="train"
        The name of a list in ``ImageSets/Segmentation``: "train", "val", "trainval",
        "test", or one of your own. "test" has no masks.
    annotations : {"voc", "augmented"}, default="voc"
        "augmented" adds to "train" and "trainval" all images of the Semantic Boundaries
        Dataset [2]_ (SBD), both of its train and of its val list. For "train", the
        images of VOC's ``val.txt`` are left out. With the official lists, "train" then
        has the usual 10,582 images, and "trainval" has 12,031. If an image has a mask
        in VOC, this mask is used.
    sbd_root : str, path or None, default=None
        The folder of SBD, for "augmented". SBD's ``cls``, ``img``, ``train.txt`` and
        ``val.txt`` are in it, or in its subfolder ``dataset`` or
        ``benchmark_RELEASE/dataset``. None is the folder that holds ``VOCdevkit``.

    Returns
    -------
    data : sklearn.utils.Bunch
        The images are in the order of the list, or of their names if "augmented". The
        attributes are

        - ``images``: sequence of (height, width, 3) arrays of uint8
        - ``masks``: sequence of (height, width) arrays of int16, with the labels 0..20,
          and -1 for unlabeled pixels (255 in VOC's files). None for "test"
        - ``class_names``: list of the 21 names. The name of label k is at position k
        - ``ids``: list of str, such as ``"2007_000032"``
        - ``filenames``: list of str, such as ``"2007_000032.jpg"``
        - ``DESCR``: str, the description of the data set and the papers to cite

        An integer index into ``images`` or ``masks`` reads an array from its file. A
        slice, a list or an array of indices returns a shorter sequence.

    Raises
    ------
    FileNotFoundError
        If the data set, a list, an image or a mask is missing.
    ValueError
        If the list does not exist, is empty, has an image twice or is not a list of
        images, or if "augmented" is used with a list other than "train" or "trainval".
        Later, at an access, if a file is damaged, or if a mask does not have the size
        of its image, is not a palette PNG in VOC's colors, or has other labels.

    Notes
    -----
    If the EXIF data of a photograph says that the camera was turned, the photograph is
    rotated upright, as in annotation tools. The photographs of VOC have no such entry.

    VOC leaves a band of unlabeled pixels around every object. SBD has no such band. Its
    masks label the outlines too, but less exactly.

    References
    ----------
    .. [1] M. Everingham, L. Van Gool, C. K. I. Williams, J. Winn, A. Zisserman. "The
       PASCAL Visual Object Classes (VOC) Challenge". IJCV 2010.
    .. [2] B. Hariharan, P. Arbelaez, L. Bourdev, S. Maji, J. Malik. "Semantic contours
       from inverse detectors". ICCV 2011.

    Examples
    --------
    >>> from sklearn_zoomout.datasets import load_voc2012
    >>> data = load_voc2012(split="val")  # doctest: +SKIP
    >>> data.images  # doctest: +SKIP
    FileSequence(1449 arrays, not in memory)
    >>> data.images[0].shape, data.masks[0].shape  # doctest: +SKIP
    ((366, 500, 3), (366, 500))
    """
    voc = _find_voc(root)
    ids = _read_split(voc / _LISTS, split)
    photos, masks = (
        [(voc / "JPEGImages", ".jpg")],
        [(voc / "SegmentationClass", ".png")],
    )
    if annotations == "augmented":
        sbd = _find_sbd(voc.parent.parent if sbd_root is None else Path(sbd_root))
        ids = _augment(ids, split, voc, sbd)
        photos.append((sbd / "img", ".jpg"))
        masks.append((sbd / "cls", ".mat"))
    image_files = _locate(ids, photos)
    mask_files = None if split == "test" else _locate(ids, masks)
    return Bunch(
        images=FileSequence(_read_image, image_files),
        masks=mask_files
        and FileSequence(_read_mask, zip(image_files, mask_files, strict=True)),
        class_names=list(CLASS_NAMES),
        ids=ids,
        filenames=[f"{name}.jpg" for name in ids],
        DESCR=read_description("voc2012"),
    )


def voc_colors() -> NDArray[np.uint8]:
    """Return the colors in which PASCAL VOC draws its labels.

    The bits of a label, from the lowest, become bits of red, green and blue in turn,
    from the highest. Small labels therefore have distant colors. The colors are those
    of ``VOClabelcolormap`` in VOC's development kit [1]_.

    Returns
    -------
    colors : ndarray of shape (256, 3), dtype uint8
        The RGB color of label k, at position k. The color at position 255, that of
        unlabeled pixels, is a pale cream.

    References
    ----------
    .. [1] M. Everingham, J. Winn. "The PASCAL Visual Object Classes Challenge 2012
       Development Kit". 2012.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_zoomout.datasets import voc_colors
    >>> voc_colors()[[0, 1, 15, 255]]
    array([[  0,   0,   0],
           [128,   0,   0],
           [192, 128, 128],
           [224, 224, 192]], dtype=uint8)
    >>> mask = np.array([[0, 15, 255]])
    >>> voc_colors()[mask].shape  # a picture of the mask
    (1, 3, 3)
    """
    label, turn, channel = np.ogrid[:256, :3, :3]
    bits = label >> (3 * turn + channel) & 1
    return (bits << (7 - turn)).sum(axis=1).astype(np.uint8)


def _find_voc(root: str | os.PathLike[str] | None) -> Path:
    """Return the folder VOC2012."""
    home = find_data_home(root)
    for folder in (home, home / "VOC2012", home / "VOCdevkit" / "VOC2012"):
        if (folder / _LISTS).is_dir():
            return folder
    raise FileNotFoundError(
        f"{home} holds no VOCdevkit/VOC2012/{_LISTS.as_posix()}. Extract {VOC_URL} "
        "there, or pass the folder that holds VOCdevkit as root, or set "
        f"{DATA_VARIABLE} to that folder."
    )


def _find_sbd(home: Path) -> Path:
    """Return the folder that holds SBD's cls, img, train.txt and val.txt."""
    home = home.expanduser()
    for folder in (home, home / "dataset", home / "benchmark_RELEASE" / "dataset"):
        if (folder / "cls").is_dir():
            return folder
    raise FileNotFoundError(
        f"{home} holds no benchmark_RELEASE/dataset/cls, the annotations of the "
        f"Semantic Boundaries Dataset. Extract {SBD_URL} there, or pass the folder "
        "that holds benchmark_RELEASE as sbd_root."
    )


def _read_split(folder: Path, split: str) -> list[str]:
    """Read one of VOC's lists, or raise an error that names all of them."""
    available = sorted(path.stem for path in folder.glob("*.txt"))
    if split not in available:
        raise ValueError(
            f"split: expected one of the lists in {folder}, {available}, got {split!r}."
        )
    return _read_ids(folder / f"{split}.txt")


def _read_ids(path: Path) -> list[str]:
    """Read a list of images, one per line."""
    if not path.is_file():
        raise FileNotFoundError(f"{path} is missing, a list of one image per line.")
    # Editors on Windows can put a byte order mark before the first name.
    text = path.read_text(encoding="utf-8-sig", errors="replace")
    ids = [line.strip() for line in text.splitlines() if line.strip()]
    if not ids:
        raise ValueError(f"{path} is empty; expected the name of one image per line.")
    seen: set[str] = set()
    for name in ids:
        if not re.fullmatch(r"[\w.-]+", name):
            raise ValueError(
                f"{path}: expected the name of one image per line, such as "
                f"2007_000032, got {name[:80]!r}."
            )
        if name in seen:
            raise ValueError(
                f"{path}: {name} is listed twice; delete one of the lines."
            )
        seen.add(name)
    return ids


def _augment(ids: list[str], split: str, voc: Path, sbd: Path) -> list[str]:
    """Add the images of SBD. To "train", add none of VOC's validation images."""
    if split not in ("train", "trainval"):
        raise ValueError(
            "split: annotations='augmented' adds images to 'train' and 'trainval' "
            f"only, got {split!r}; load it with annotations='voc'."
        )
    extra = _read_ids(sbd / "train.txt") + _read_ids(sbd / "val.txt")
    held_out = _read_ids(voc / _LISTS / "val.txt") if split == "train" else []
    return sorted({*ids, *extra} - {*held_out})


def _locate(ids: list[str], places: Sequence[tuple[Path, str]]) -> list[str]:
    """Return the path of the file of every image, from the first place that has it."""
    found: dict[str, str] = {}
    for folder, suffix in reversed(places):
        found |= {path.stem: str(path) for path in folder.glob(f"*{suffix}")}
    missing = [name for name in ids if name not in found]
    if missing:
        expected = " or ".join(f"{folder}/<name>{suffix}" for folder, suffix in places)
        raise FileNotFoundError(
            f"{len(missing)} of {len(ids)} images in the list have no {expected}, "
            f"first: {', '.join(missing[:5])}. Extract the archive again, or remove "
            "them from the list."
        )
    return [found[name] for name in ids]


def _read_image(path: str) -> NDArray[np.uint8]:
    """Read a photograph as RGB."""
    with open_picture(path, ["JPEG"], _CURE) as picture:
        return np.array(picture.convert("RGB"))


def _read_mask(files: tuple[str, str]) -> NDArray[np.int16]:
    """Read the mask of an image, and check that it has the size of the image."""
    image_path, path = files
    mask = _read_sbd_mask(path) if path.endswith(".mat") else _read_voc_mask(path)
    with open_picture(image_path, ["JPEG"], _CURE) as picture:
        shape = picture.height, picture.width
    if mask.shape != shape:
        raise ValueError(
            f"{path}: expected a mask of shape {shape}, the shape of its image "
            f"{image_path}, got {mask.shape}."
        )
    return np.where(mask == _UNLABELED_INDEX, UNLABELED, mask.astype(np.int16))


def _read_voc_mask(path: str) -> NDArray[np.uint8]:
    """Read the palette indices of a PNG, not its colors."""
    with open_picture(path, ["PNG"], _CURE) as picture:
        if picture.mode != "P":
            raise FileError(
                f"{path}: expected a palette PNG, whose pixels are labels (mode P), "
                f"got mode {picture.mode}, which may hold colors; take the file from "
                "VOC's archive, or map its colors to labels with voc_colors()."
            )
        mask = np.array(picture)
        palette = np.array(picture.getpalette(), dtype=np.uint8).reshape(-1, 3)
    labels = _check_labels(mask, path)
    # Tools that shrink PNG files renumber the palette, and with it the labels.
    if labels.max(initial=-1) >= len(palette) or not np.array_equal(
        palette[labels], voc_colors()[labels]
    ):
        raise ValueError(
            f"{path}: expected the palette of VOC, got other colors for the labels "
            f"{labels.tolist()}, which may be renumbered; take the file from VOC's "
            "archive, or write it with the palette voc_colors()."
        )
    return mask


def _read_sbd_mask(path: str) -> NDArray[np.uint8]:
    """Read the field Segmentation of the struct GTcls."""
    with open_file(path) as file:
        try:
            shapes = {name: shape for name, shape, _ in whosmat(file)}
            file.seek(0)
            # scipy would allocate as many structs as a damaged file declares.
            is_single = shapes.get("GTcls") == (1, 1)
            variables = loadmat(file, variable_names=["GTcls"]) if is_single else {}
        except Exception as error:  # scipy fails in many ways on damaged bytes
            raise ValueError(
                f"{path} cannot be read as a MATLAB file of version 5 ({error!r}); "
                "extract it from its archive again."
            ) from error
    struct = variables.get("GTcls", np.empty(0))
    if "Segmentation" not in (struct.dtype.names or ()):
        raise ValueError(
            f"{path}: expected a struct GTcls with the field Segmentation, got "
            f"{struct.dtype if is_single else f'variables of shapes {shapes}'}; take "
            "the file from the folder cls of the Semantic Boundaries Dataset."
        )
    mask = np.asarray(struct["Segmentation"][0, 0])
    if mask.ndim != 2 or mask.dtype.kind not in "iu":
        raise ValueError(
            f"{path}: expected GTcls.Segmentation to be a matrix of integers, got "
            f"dtype {mask.dtype} and shape {mask.shape}."
        )
    _check_labels(mask, path)
    return mask.astype(np.uint8)


def _check_labels(mask: NDArray[np.integer], path: str) -> NDArray[np.int64]:
    """Return the distinct labels of a mask, and check that they are VOC's."""
    labels = np.unique(mask).astype(np.int64)
    labels = labels[labels != _UNLABELED_INDEX]
    unknown = labels[(labels < 0) | (labels >= len(CLASS_NAMES))]
    if len(unknown):
        raise ValueError(
            f"{path}: expected labels 0..{len(CLASS_NAMES) - 1}, or "
            f"{_UNLABELED_INDEX} for unlabeled pixels, got {unknown.tolist()}."
        )
    return labels
