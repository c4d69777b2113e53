"""A tiny PASCAL VOC 2012 and a tiny Semantic Boundaries Dataset, as published."""

import numpy as np
from PIL import Image
from scipy.io import savemat

from sklearn_zoomout.datasets import voc_colors

VOC_LISTS = {
    "train": ["2007_000001", "2007_000002"],
    "val": ["2007_000003", "2007_000004"],
    "trainval": ["2007_000001", "2007_000002", "2007_000003", "2007_000004"],
    "test": ["2008_000005"],
}
# One image of VOC's train, one of its val, and three that only SBD annotates.
SBD_LISTS = {
    "train": ["2009_000007", "2007_000001", "2007_000003"],
    "val": ["2009_000006", "2009_000008"],
}
SHAPES = {"2007_000002": (7, 5), "2009_000008": (6, 9)}  # the others are 6x8


def shape_of(name):
    """Return the size of an image of the tiny data sets."""
    return SHAPES.get(name, (6, 8))


def voc_mask(name):
    """Return VOC's labels of an image: all 21, and 255 for unlabeled."""
    height, width = shape_of(name)
    mask = np.arange(height * width) + int(name[-1])
    return np.where(mask % 5, mask % 21, 255).astype(np.uint8).reshape(height, width)


def as_read(mask):
    """Return a mask of VOC's files as the loader does, with -1 for 255."""
    return np.where(mask == 255, -1, mask.astype(np.int16))


def sbd_mask(name):
    """Return SBD's labels of an image, none of them unlabeled."""
    return np.full(shape_of(name), int(name[-1]) + 10, np.uint8)


def write_list(path, names):
    """Write a list of images."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{name}\n" for name in names))


def write_photo(path, shape):
    """Write a JPEG of one color."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full((*shape, 3), 100, np.uint8)).save(path)


def write_mask(path, mask):
    """Write a palette PNG."""
    path.parent.mkdir(parents=True, exist_ok=True)
    picture = Image.fromarray(mask)
    picture.putpalette(voc_colors().tobytes())
    picture.save(path)


def write_mat(path, mask):
    """Write labels as SBD does."""
    path.parent.mkdir(parents=True, exist_ok=True)
    boundaries = np.empty((20, 1), object)
    boundaries[:] = [[np.zeros(mask.shape, np.uint8)]] * 20
    struct = {
        "Segmentation": mask,
        "Boundaries": boundaries,
        "CategoriesPresent": np.unique(mask[mask > 0])[:, None],
    }
    savemat(path, {"GTcls": struct}, do_compression=True)
