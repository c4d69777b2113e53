"""The loader of PASCAL VOC 2012, on a tiny copy and on real images."""

import os
import pickle
import shutil
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy.io import savemat
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import KFold, cross_val_score
from sklearn.pipeline import make_pipeline
from tiny_voc import (
    SBD_LISTS,
    VOC_LISTS,
    as_read,
    sbd_mask,
    shape_of,
    voc_mask,
    write_list,
    write_mask,
    write_mat,
    write_photo,
)

from sklearn_zoomout import LocalFeatures, SuperpixelSegmenter, ZoomoutClassifier
from sklearn_zoomout.datasets import _voc2012 as voc2012
from sklearn_zoomout.datasets import load_voc2012, voc_colors
from sklearn_zoomout.masks import check_masks
from sklearn_zoomout.metrics import mean_iou_scorer
from sklearn_zoomout.superpixels._reading import Reading


def test_colors_are_those_of_the_development_kit():
    """The first ten and the last are what its documentation shows."""
    expected = [
        (0, 0, 0),
        (128, 0, 0),
        (0, 128, 0),
        (128, 128, 0),
        (0, 0, 128),
        (128, 0, 128),
        (0, 128, 128),
        (128, 128, 128),
        (64, 0, 0),
        (192, 0, 0),
    ]
    colors = voc_colors()
    np.testing.assert_array_equal(colors[:10], expected)
    np.testing.assert_array_equal(colors[[20, 255]], [(0, 64, 128), (224, 224, 192)])
    assert len(np.unique(colors, axis=0)) == 256
    assert colors.dtype == np.uint8


@pytest.mark.parametrize("split", ["train", "val", "trainval"])
def test_reads_the_official_layout(voc, split):
    """Images and the indices of the palette PNGs come in the order of the list."""
    data = load_voc2012(voc, split)
    assert data.ids == VOC_LISTS[split]
    assert data.filenames == [f"{name}.jpg" for name in data.ids]
    assert [image.shape for image in data.images] == [
        (*shape_of(name), 3) for name in data.ids
    ]
    assert all(image.dtype == np.uint8 for image in data.images)
    for name, mask in zip(data.ids, data.masks, strict=True):
        np.testing.assert_array_equal(mask, as_read(voc_mask(name)))
        assert mask.dtype == np.int16
    assert len(data.class_names) == 21
    assert [data.class_names[k] for k in (0, 1, 15, 20)] == [
        "background",
        "aeroplane",
        "person",
        "tvmonitor",
    ]


def test_own_list_keeps_its_order(voc):
    """Any list in the folder is a split; its order and blank lines are harmless."""
    write_list(
        voc / "ImageSets/Segmentation/mine.txt", ["2007_000004", "", "2007_000001"]
    )
    assert load_voc2012(voc, "mine").ids == ["2007_000004", "2007_000001"]


@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
def test_list_of_any_editor_is_read(voc, newline, encoding):
    """Windows' newlines and byte order mark are no part of a name."""
    path = voc / "ImageSets/Segmentation/mine.txt"
    text = newline.join(["2007_000004", "", "2007_000001 ", ""])
    path.write_bytes(text.encode(encoding))
    assert load_voc2012(voc, "mine").ids == ["2007_000004", "2007_000001"]


def test_test_split_has_no_masks(voc):
    """The masks of the test images are not public."""
    data = load_voc2012(voc, "test")
    assert data.ids == ["2008_000005"]
    assert data.images[0].shape == (6, 8, 3)
    assert data.masks is None


@pytest.mark.parametrize("levels", [0, 1, 2])
def test_root_is_any_of_three_folders(voc, levels):
    """VOC2012, VOCdevkit, or what holds VOCdevkit."""
    root = [voc, *voc.parents][levels]
    assert load_voc2012(root).ids == VOC_LISTS["train"]


def test_root_comes_from_the_environment(voc, monkeypatch):
    """SKLEARN_ZOOMOUT_DATA names the folder that holds VOCdevkit."""
    monkeypatch.setenv("SKLEARN_ZOOMOUT_DATA", str(voc.parents[1]))
    assert load_voc2012().ids == VOC_LISTS["train"]


def test_augmented_training_adds_sbd_and_no_image_of_val(voc, sbd):
    """Train and val of SBD join, except those that VOC keeps for validation."""
    data = load_voc2012(voc, "train", annotations="augmented")
    assert data.ids == [
        "2007_000001",
        "2007_000002",
        "2009_000006",
        "2009_000007",
        "2009_000008",
    ]
    assert set(VOC_LISTS["val"]) & {*SBD_LISTS["train"], *SBD_LISTS["val"]}
    assert not set(VOC_LISTS["val"]) & set(data.ids)
    assert [image.shape[:2] for image in data.images] == [
        mask.shape for mask in data.masks
    ]


def test_image_of_val_in_the_train_list_stays_out(voc, sbd):
    """Even a list that contradicts itself lets no validation image in."""
    names = [*VOC_LISTS["train"], "2007_000004"]
    write_list(voc / "ImageSets/Segmentation/train.txt", names)
    data = load_voc2012(voc, "train", annotations="augmented")
    assert "2007_000004" not in data.ids


@pytest.mark.parametrize("split", ["train", "trainval"])
def test_own_masks_of_voc_take_precedence(voc, sbd, split):
    """SBD's mask is read only where VOC has none."""
    data = load_voc2012(voc, split, annotations="augmented")
    for name, mask in zip(data.ids, data.masks, strict=True):
        of_voc = name in VOC_LISTS["trainval"]
        expected = voc_mask(name) if of_voc else sbd_mask(name)
        np.testing.assert_array_equal(mask, as_read(expected))
        assert mask.dtype == np.int16
    assert (set(VOC_LISTS["val"]) <= set(data.ids)) == (split == "trainval")


@pytest.mark.parametrize("folder", ["", "dataset", "benchmark_RELEASE/dataset"])
def test_sbd_root_is_any_of_three_folders(voc, sbd, tmp_path, folder):
    """The folder with cls and img, or one that holds it as the archive does."""
    home = tmp_path / "elsewhere"
    shutil.move(sbd, home / folder)
    data = load_voc2012(voc, annotations="augmented", sbd_root=home)
    assert "2009_000007" in data.ids


@pytest.mark.parametrize("split", ["val", "test"])
def test_only_training_is_augmented(voc, sbd, split):
    """Scores on other images than VOC's would compare with nobody's."""
    with pytest.raises(ValueError, match="'train' and 'trainval'") as caught:
        load_voc2012(voc, split, annotations="augmented")
    assert repr(split) in str(caught.value)


def test_files_are_read_on_access_only(voc):
    """Loading opens no image; what is damaged is found when it is asked for."""
    (voc / "JPEGImages/2007_000002.jpg").write_bytes(b"")
    data = load_voc2012(voc)
    assert data.images[0].shape == (6, 8, 3)
    with pytest.raises(ValueError, match=r"2007_000002\.jpg cannot be read"):
        data.images[1]


def test_folder_without_voc_is_an_error(tmp_path):
    """The error says where it looked, for what, and where that comes from."""
    with pytest.raises(FileNotFoundError, match="SKLEARN_ZOOMOUT_DATA") as caught:
        load_voc2012(tmp_path)
    for part in (str(tmp_path), "VOCdevkit/VOC2012/ImageSets/Segmentation", ".tar"):
        assert part in str(caught.value)


def test_folder_without_sbd_is_an_error(voc):
    """The error says where the extra annotations should be."""
    with pytest.raises(
        FileNotFoundError, match="benchmark_RELEASE/dataset/cls"
    ) as caught:
        load_voc2012(voc, annotations="augmented")
    assert str(voc.parents[1]) in str(caught.value)
    assert "sbd_root" in str(caught.value)


def test_unknown_split_lists_those_there_are(voc):
    """A misspelt name is answered by the names of the lists."""
    with pytest.raises(ValueError, match=r"'test', 'train', 'trainval', 'val'.*'vall'"):
        load_voc2012(voc, "vall")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "is empty"),
        ("\n \n", "is empty"),
        ("2007_000001\n2007_000002\n2007_000001\n", "2007_000001 is listed twice"),
        ("/JPEGImages/1.jpg /Masks/1.png\n", "got '/JPEGImages/1.jpg /Masks/1.png'"),
        ("2007_000001 1\n", "got '2007_000001 1'"),
        ("<html>\n", "got '<html>'"),
        ("../../2007_000001\n", "got '../../2007_000001'"),
        ("..\\2007_000001\n", "got '..\\\\\\\\2007_000001'"),
    ],
)
@pytest.mark.parametrize("which", ["train", "val", "sbd train", "sbd val"])
def test_wrong_list_is_named(voc, sbd, which, content, message):
    """A list that is empty, has an image twice or is none is refused."""
    folder = sbd if which.startswith("sbd") else voc / "ImageSets/Segmentation"
    path = folder / f"{which.removeprefix('sbd ')}.txt"
    path.write_text(content)
    with pytest.raises(ValueError, match=message) as caught:
        load_voc2012(voc, annotations="augmented")
    assert str(path) in str(caught.value)


@pytest.mark.parametrize("which", ["val", "sbd train", "sbd val"])
def test_missing_list_is_named(voc, sbd, which):
    """Without VOC's val.txt nobody knows which images must stay out."""
    folder = sbd if which.startswith("sbd") else voc / "ImageSets/Segmentation"
    path = folder / f"{which.removeprefix('sbd ')}.txt"
    path.unlink()
    with pytest.raises(FileNotFoundError, match="is missing") as caught:
        load_voc2012(voc, annotations="augmented")
    assert str(path) in str(caught.value)


@pytest.mark.parametrize(
    ("folder", "place"),
    [("JPEGImages", "JPEGImages/<name>.jpg"), ("SegmentationClass", "<name>.png")],
)
def test_missing_files_are_counted_and_the_first_five_named(voc, folder, place):
    """The error says how many are missing and what they should be called."""
    names = [*VOC_LISTS["train"], *(f"2010_{i:06}" for i in range(7))]
    write_list(voc / "ImageSets/Segmentation/train.txt", names)
    for name in names:
        write_photo(voc / f"JPEGImages/{name}.jpg", (6, 8))
        write_mask(voc / f"SegmentationClass/{name}.png", voc_mask(name))
    for path in (voc / folder).glob("2010_*"):
        path.unlink()
    with pytest.raises(FileNotFoundError, match="7 of 9 images") as caught:
        load_voc2012(voc)
    assert place in str(caught.value)
    assert "2010_000004" in str(caught.value)
    assert "2010_000005" not in str(caught.value)


def test_missing_mat_is_named(voc, sbd):
    """An image of SBD's lists without annotations is an error."""
    (sbd / "cls/2009_000007.mat").unlink()
    with pytest.raises(FileNotFoundError, match=r"first: 2009_000007\.") as caught:
        load_voc2012(voc, annotations="augmented")
    assert f"{sbd}/cls/<name>.mat" in str(caught.value)


@pytest.mark.parametrize("share", [0, 0.3, 0.9])
@pytest.mark.parametrize(
    "kind", ["JPEGImages/2007_000001.jpg", "SegmentationClass/2007_000001.png"]
)
def test_truncated_picture_is_named(voc, kind, share):
    """A file that ends too early is an error, not a gray picture."""
    path = voc / kind
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    data = load_voc2012(voc)
    with pytest.raises(ValueError, match="cannot be read as a") as caught:
        data.images[0] if path.suffix == ".jpg" else data.masks[0]
    assert str(path) in str(caught.value)


@pytest.mark.parametrize("content", [b"<html>404</html>", b"GIF89a"])
def test_other_file_under_the_name_of_a_picture_is_named(voc, content):
    """A server's error page is no photograph."""
    path = voc / "JPEGImages/2007_000001.jpg"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"2007_000001\.jpg cannot be read as a JPEG"):
        load_voc2012(voc).images[0]


def test_picture_that_would_fill_the_memory_is_refused(voc, monkeypatch):
    """A header that declares far too many pixels is an error before decoding."""
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10)
    with pytest.raises(ValueError, match=r"2007_000001\.jpg cannot be read.*limit"):
        load_voc2012(voc).images[0]


def test_turned_photograph_is_given_upright(voc):
    """EXIF says how the camera was held; the mask has the shape of what one sees."""
    path = voc / "JPEGImages/2007_000001.jpg"
    stored = np.zeros((8, 6, 3), np.uint8)
    stored[:4] = 255  # the upper half as stored, the right half once turned
    exif = Image.Exif()
    exif[0x0112] = 6  # Orientation: to be turned clockwise
    Image.fromarray(stored).save(path, exif=exif)
    data = load_voc2012(voc)
    image = data.images[0].astype(int)
    assert image.shape == (6, 8, 3)
    assert image[:, 4:].mean() > 200 > 55 > image[:, :4].mean()
    np.testing.assert_array_equal(data.masks[0], as_read(voc_mask("2007_000001")))


def test_gray_photograph_becomes_rgb(voc):
    """Some photographs are gray; the library's features expect three channels."""
    path = voc / "JPEGImages/2007_000001.jpg"
    Image.fromarray(np.full((6, 8), 100, np.uint8)).save(path)
    assert load_voc2012(voc).images[0].shape == (6, 8, 3)


@pytest.mark.parametrize("of_sbd", [False, True])
def test_mask_of_another_size_is_named(voc, sbd, of_sbd):
    """The error says which image, and both sizes."""
    wrong = np.zeros((8, 6), np.uint8)
    write_mask(voc / "SegmentationClass/2007_000001.png", wrong)
    write_mat(sbd / "cls/2009_000006.mat", wrong)
    data = load_voc2012(voc, annotations="augmented")
    name = "2009_000006" if of_sbd else "2007_000001"
    with pytest.raises(ValueError, match=r"shape \(6, 8\).*got \(8, 6\)") as caught:
        data.masks[data.ids.index(name)]
    assert name in str(caught.value)


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "L", "1"])
def test_mask_that_is_no_palette_png_is_refused(voc, mode):
    """Colors, or grays made of them, are not taken for labels."""
    path = voc / "SegmentationClass/2007_000001.png"
    Image.open(path).convert(mode).save(path)
    with pytest.raises(ValueError, match=rf"palette PNG.*mode {mode},.*voc_colors\(\)"):
        load_voc2012(voc).masks[0]


def test_renumbered_palette_is_refused(voc):
    """A tool that shrinks PNG files may change the indices and keep the colors."""
    path = voc / "SegmentationClass/2007_000001.png"
    picture = Image.open(path)
    order = [1, 0, *range(2, 256)]
    picture.remap_palette(order).save(path)
    with pytest.raises(ValueError, match="palette of VOC.*may be renumbered"):
        load_voc2012(voc).masks[0]


def test_palette_of_few_colors_is_read(voc):
    """A PNG of less than 8 bits a pixel holds its first labels only."""
    path = voc / "SegmentationClass/2007_000001.png"
    mask = np.tile(np.arange(8, dtype=np.uint8), (6, 1))
    picture = Image.fromarray(mask)
    picture.putpalette(voc_colors()[:8].tobytes())
    picture.save(path)
    assert path.read_bytes()[24] < 8  # bits a pixel
    np.testing.assert_array_equal(load_voc2012(voc).masks[0], mask)


@pytest.mark.parametrize("n_colors", [0, 2])
def test_label_without_a_color_is_refused(voc, n_colors):
    """A damaged palette that ends before the labels do is named."""
    path = voc / "SegmentationClass/2007_000001.png"
    content = path.read_bytes()
    start = content.index(b"PLTE") - 4
    name_and_colors = b"PLTE" + voc_colors()[:n_colors].tobytes()
    chunk = (
        (3 * n_colors).to_bytes(4, "big")
        + name_and_colors
        + zlib.crc32(name_and_colors).to_bytes(4, "big")
    )
    end = start + 4 + 4 + 3 * 256 + 4  # length, name, colors, checksum
    path.write_bytes(content[:start] + chunk + content[end:])
    with pytest.raises(ValueError, match="palette of VOC.*for the labels") as caught:
        load_voc2012(voc).masks[0]
    assert str(path) in str(caught.value)


def test_mask_without_labels_is_read(voc):
    """Not every image has a labeled pixel in a data set of one's own."""
    path = voc / "SegmentationClass/2007_000001.png"
    write_mask(path, np.full((6, 8), 255, np.uint8))
    assert (load_voc2012(voc).masks[0] == -1).all()


@pytest.mark.parametrize("label", [21, 254])
def test_unknown_label_is_named(voc, label):
    """A label beyond VOC's classes is an error that shows it."""
    path = voc / "SegmentationClass/2007_000001.png"
    write_mask(path, np.full((6, 8), label, np.uint8))
    with pytest.raises(ValueError, match=rf"2007_000001.*0\.\.20.*\[{label}\]"):
        load_voc2012(voc).masks[0]


@pytest.mark.parametrize(
    ("variables", "message"),
    [
        ({"GTinst": {"Segmentation": sbd_mask("2009_000006")}}, "variables .*GTinst"),
        ({"GTcls": {"Boundaries": 1}}, "field Segmentation, got .*Boundaries"),
        ({"GTcls": sbd_mask("2009_000006")}, r"got variables .*GTcls.*\(6, 8\)"),
        ({"GTcls": np.uint8(3)}, "field Segmentation, got uint8"),
        ({"GTcls": {"Segmentation": np.zeros((6, 8))}}, "integers, got dtype float64"),
        ({"GTcls": {"Segmentation": np.zeros((6, 8, 3), int)}}, r"shape \(6, 8, 3\)"),
        ({"GTcls": {"Segmentation": np.full((6, 8), 21)}}, r"0\.\.20.*\[21\]"),
        ({"GTcls": {"Segmentation": np.full((6, 8), -1)}}, r"0\.\.20.*\[-1\]"),
    ],
)
def test_wrong_mat_is_named(voc, sbd, variables, message):
    """A .mat of other content than SBD's is an error that says what it holds."""
    savemat(sbd / "cls/2009_000006.mat", variables)
    data = load_voc2012(voc, annotations="augmented")
    with pytest.raises(ValueError, match=message) as caught:
        data.masks[data.ids.index("2009_000006")]
    assert "2009_000006.mat" in str(caught.value)


def test_mat_that_declares_too_much_is_refused_unread(voc, sbd, monkeypatch):
    """A damaged header must not make scipy allocate a billion structs."""
    path = sbd / "cls/2009_000006.mat"
    savemat(path, {"GTcls": {"Segmentation": sbd_mask("2009_000006")}})
    one = np.array([5, 8, 1, 1], "<i4").tobytes()  # type int32, 8 bytes, shape (1, 1)
    many = np.array([5, 8, 2**30, 1], "<i4").tobytes()
    content = path.read_bytes()
    assert content.count(one) == 1
    path.write_bytes(content.replace(one, many))
    monkeypatch.setattr(voc2012, "loadmat", lambda *args, **kwargs: pytest.fail())
    data = load_voc2012(voc, annotations="augmented")
    with pytest.raises(ValueError, match=r"GTcls.*\(1073741824, 1\)") as caught:
        data.masks[data.ids.index("2009_000006")]
    assert str(path) in str(caught.value)


@pytest.mark.parametrize("share", [0, 0.2, 0.6, 0.95])
def test_truncated_mat_is_named(voc, sbd, share):
    """However scipy fails on it, the error names the file."""
    path = sbd / "cls/2009_000006.mat"
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    data = load_voc2012(voc, annotations="augmented")
    with pytest.raises(ValueError, match=r"2009_000006\.mat"):
        data.masks[data.ids.index("2009_000006")]


@pytest.mark.parametrize(
    "wrong", [{"root": 3}, {"split": None}, {"annotations": "sbd"}, {"sbd_root": 3}]
)
def test_wrong_argument_is_named(wrong):
    """An argument of the wrong kind is refused before anything is read."""
    with pytest.raises((ValueError, TypeError), match=next(iter(wrong))):
        load_voc2012(**wrong)


def test_checks_take_the_sequences(voc):
    """The gate of the library reads every image and mask once."""
    data = load_voc2012(voc, "trainval")
    images = [read.image for read in Reading().read(data.images)]
    assert len(check_masks(data.masks, images)) == 4


def test_sequences_survive_pickling(voc, sbd):
    """A worker process of joblib reads the same arrays."""
    data = load_voc2012(voc, annotations="augmented")
    masks = pickle.loads(pickle.dumps(data.masks))
    for copy, mask in zip(masks, data.masks, strict=True):
        np.testing.assert_array_equal(copy, mask)


def test_pipeline_trains_on_files_as_on_lists(voc, images, masks):
    """Cross-validation over lazy images scores the same as over loaded ones."""
    names = [f"2011_{i:06}" for i in range(4)]
    write_list(voc / "ImageSets/Segmentation/scenes.txt", names)
    for name, image, mask in zip(names, images, masks, strict=True):
        mask = mask.astype(np.uint8)
        mask[:3] = 255
        Image.fromarray(image).save(voc / f"JPEGImages/{name}.jpg")
        write_mask(voc / f"SegmentationClass/{name}.png", mask)
    data = load_voc2012(voc, "scenes")
    model = make_pipeline(
        SuperpixelSegmenter(n_segments=30),
        LocalFeatures(descriptors=("color", "location")),
        ZoomoutClassifier(estimator=LogisticRegression(), random_state=0),
    )
    lazy, loaded = (
        cross_val_score(
            model, x, y, cv=KFold(2), scoring=mean_iou_scorer, error_score="raise"
        )
        for x, y in ((data.images, data.masks), (list(data.images), list(data.masks)))
    )
    np.testing.assert_array_equal(lazy, loaded)
    assert lazy.min() > 0.5


def test_real_images():
    """Photographs and masks of VOC 2012 fit each other and have its labels."""
    home = os.environ.get("SKLEARN_ZOOMOUT_DATA")
    if not home or not (Path(home) / "VOCdevkit" / "VOC2012").is_dir():
        pytest.skip("SKLEARN_ZOOMOUT_DATA names no folder with VOCdevkit/VOC2012")
    data = load_voc2012(split="val")
    train = load_voc2012(split="train")
    assert not set(data.ids) & set(train.ids)
    chosen = slice(0, None, max(1, len(data.ids) // 20))
    images, masks = data.images[chosen], data.masks[chosen]
    read = [one.image for one in Reading().read(images)]
    assert len(check_masks(masks, read)) >= 20
    # Unlabeled pixels are counted first.
    counts = sum(np.bincount(mask.ravel() + 1, minlength=22) for mask in masks)
    assert len(counts) == 22
    share = counts / counts.sum()
    assert 0.5 < share[1] < 0.9  # background
    assert 0.01 < share[0] < 0.15  # outlines
    assert (counts[1:] > 0).sum() > 10
