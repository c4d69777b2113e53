"""The folders of a tiny PASCAL VOC 2012 and a tiny Semantic Boundaries Dataset."""

import pytest
from tiny_voc import (
    SBD_LISTS,
    VOC_LISTS,
    sbd_mask,
    shape_of,
    voc_mask,
    write_list,
    write_mask,
    write_mat,
    write_photo,
)


@pytest.fixture
def voc(tmp_path):
    """Return the folder VOC2012, which has the photo of one image of SBD only."""
    folder = tmp_path / "VOCdevkit" / "VOC2012"
    for split, names in VOC_LISTS.items():
        write_list(folder / f"ImageSets/Segmentation/{split}.txt", names)
    for name in VOC_LISTS["trainval"]:
        write_mask(folder / f"SegmentationClass/{name}.png", voc_mask(name))
    for name in [*VOC_LISTS["trainval"], *VOC_LISTS["test"], "2009_000006"]:
        write_photo(folder / f"JPEGImages/{name}.jpg", shape_of(name))
    return folder


@pytest.fixture
def sbd(tmp_path):
    """Return the folder of SBD, beside VOCdevkit."""
    folder = tmp_path / "benchmark_RELEASE" / "dataset"
    for split, names in SBD_LISTS.items():
        write_list(folder / f"{split}.txt", names)
        for name in names:
            write_mat(folder / f"cls/{name}.mat", sbd_mask(name))
            write_photo(folder / f"img/{name}.jpg", shape_of(name))
    return folder
