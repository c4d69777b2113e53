"""Masks in pictures and arrays: numbers, palettes and colors."""

import pickle
import sys

import numpy as np
import pytest
from PIL import Image, ImageDraw
from sklearn.model_selection import KFold

from sklearn_zoomout import read_mask, read_masks
from sklearn_zoomout.datasets import FileSequence, read_photograph
from sklearn_zoomout.exceptions import UnlabeledWarning

RED, GREEN, BLUE, WHITE = (255, 0, 0), (0, 128, 0), (0, 0, 255), (255, 255, 255)
LABELS = np.repeat([[0, 1, 2, 2], [1, 1, 0, 2]], 10, axis=0).repeat(10, axis=1)


def save_palette(path, labels, colors):
    """Write an indexed PNG; ``colors`` are those of indices."""
    picture = Image.fromarray(labels.astype(np.uint8))
    palette = np.zeros((256, 3), np.uint8)
    for index, color in colors.items():
        palette[index] = color
    picture.putpalette(palette.tobytes())
    picture.save(path)


def save_colors(path, labels, colors):
    """Write labels as RGB or RGBA colors, that of label k at position k."""
    Image.fromarray(np.array(colors, np.uint8)[labels]).save(path)


@pytest.mark.parametrize(
    ("name", "dtype"),
    [
        ("a.png", np.uint8),
        ("a.png", np.uint16),
        ("a.png", bool),
        ("a.tif", np.uint8),
        ("a.tif", np.uint16),
        ("a.tif", np.int32),
        ("a.tif", np.int64),
        ("a.tif", np.float32),
        ("a.bmp", np.uint8),
        ("a.npy", np.int64),
        ("a.npy", np.float64),
    ],
)
def test_the_numbers_of_gray_files_are_the_labels(tmp_path, name, dtype):
    """Pictures of any depth and arrays hold labels; the type of the mask is signed."""
    path = tmp_path / name
    labels = (LABELS + (300 if np.dtype(dtype).itemsize > 1 else 0)).astype(dtype)
    if path.suffix == ".npy":
        np.save(path, labels)
    elif path.suffix == ".tif":
        tifffile = pytest.importorskip("tifffile")
        tifffile.imwrite(path, labels, compression="zlib")
    else:
        Image.fromarray(labels).save(path)
    mask = read_mask(path)
    np.testing.assert_array_equal(mask, labels)
    assert mask.dtype == (np.int8 if labels.max() < 128 else np.int16)


def test_label_images_of_napari_and_ilastik_mark_unlabeled_pixels_by_zero(tmp_path):
    """An axis of length 1, which ilastik writes, is dropped."""
    np.save(tmp_path / "napari.npy", LABELS[None].astype(np.int32))
    np.save(tmp_path / "ilastik.npy", LABELS[..., None].astype(np.uint8))
    masks = read_masks(tmp_path, unlabeled=0)
    for mask in masks:
        np.testing.assert_array_equal(mask, np.where(LABELS == 0, -1, LABELS))
    assert masks.unlabeled == (0,)
    assert masks.labels == [1, 2]
    assert "unlabeled, by 0: 25.0 % of the pixels" in repr(masks)


def test_hdf5_files_of_ilastik(tmp_path):
    """The array that ilastik exports is read, if h5py is there."""
    h5py = pytest.importorskip("h5py")
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["exported_data"] = LABELS[..., None].astype(np.uint8)
        file["other"] = np.zeros(3)
    np.testing.assert_array_equal(read_mask(tmp_path / "a.h5"), LABELS)


def test_hdf5_files_without_h5py_say_what_to_install(tmp_path, monkeypatch):
    """h5py is optional."""
    monkeypatch.setitem(sys.modules, "h5py", None)
    (tmp_path / "a.h5").write_bytes(b"")
    with pytest.raises(ImportError, match=r"a\.h5: .*pip install h5py"):
        read_mask(tmp_path / "a.h5")


def test_a_palette_gives_the_colors_of_the_labels(tmp_path):
    """Indices are the labels if all files have one palette."""
    for name in "ab":
        save_palette(tmp_path / f"{name}.png", LABELS, dict(enumerate([RED, BLUE, 9])))
    masks = read_masks(tmp_path, names=["roof", "sea", "night"])
    np.testing.assert_array_equal(masks[1], LABELS)
    assert masks.colors == {0: RED, 1: BLUE, 2: (9, 9, 9)}
    assert masks.names == {0: "roof", 1: "sea", 2: "night"}
    assert "0 'roof' #ff0000: 25.0 % of the pixels" in repr(masks)
    assert "no pixel is unlabeled" in repr(masks)


def test_different_palettes_are_matched_by_color(tmp_path):
    """A color has the label of the first file, whatever its index in other files."""
    save_palette(tmp_path / "a.png", LABELS, {0: RED, 1: GREEN, 2: BLUE})
    save_palette(tmp_path / "b.png", LABELS, {0: BLUE, 1: RED, 2: WHITE})
    first, second = masks = read_masks(tmp_path)
    np.testing.assert_array_equal(first, LABELS)
    np.testing.assert_array_equal(second, np.array([2, 0, 3])[LABELS])
    assert masks.colors == {0: RED, 1: GREEN, 2: BLUE, 3: WHITE}
    assert "the palettes differ: labels are matched by color" in repr(masks)


@pytest.mark.parametrize("mode", ["L", "RGB"])
@pytest.mark.parametrize("mark", ["white", 255])
def test_white_marks_unlabeled_pixels_of_gray_files_too(tmp_path, mark, mode):
    """A gray file has no colors of its own, but programs show it in grays."""
    picture = Image.fromarray(np.where(LABELS == 2, 255, LABELS).astype(np.uint8))
    picture.convert(mode).save(tmp_path / "a.png")
    mask = read_mask(tmp_path / "a.png", unlabeled=mark)
    np.testing.assert_array_equal(mask, np.where(LABELS == 2, -1, LABELS))


def test_colors_of_palettes_that_nobody_uses_do_not_count(tmp_path):
    """Only colors of pixels are compared."""
    save_palette(tmp_path / "a.png", LABELS, {0: RED, 1: GREEN, 2: BLUE, 3: WHITE})
    save_palette(tmp_path / "b.png", LABELS, {0: RED, 1: GREEN, 2: BLUE, 3: (9, 9, 9)})
    masks = read_masks(tmp_path)
    np.testing.assert_array_equal(masks[1], LABELS)
    assert masks.notes == ()


def test_palettes_that_cannot_be_matched_are_refused(tmp_path):
    """Two indices of one color could be either."""
    save_palette(tmp_path / "a.png", LABELS, {0: RED, 1: GREEN, 2: BLUE})
    save_palette(tmp_path / "b.png", LABELS, {0: BLUE, 1: BLUE, 2: RED})
    with pytest.raises(ValueError, match=r"b\.png: .*two numbers of one color"):
        read_masks(tmp_path)


@pytest.mark.parametrize("unlabeled", [1, GREEN, "#008000"])
def test_unlabeled_is_an_index_or_a_color_of_a_palette(tmp_path, unlabeled):
    """A color means the same in all files."""
    save_palette(tmp_path / "a.png", LABELS, {0: RED, 1: GREEN, 2: BLUE})
    save_palette(tmp_path / "b.png", LABELS, {0: GREEN, 1: BLUE, 2: RED})
    masks = read_masks(tmp_path, unlabeled=unlabeled)
    assert [mask[0, 0] for mask in masks] == [0, -1]
    assert masks.labels == [0, 2]


def test_listed_colors_become_labels(tmp_path):
    """A list, a mapping of labels and a mapping of names give labels to colors."""
    save_colors(tmp_path / "a.png", LABELS, [RED, WHITE, BLUE])
    expected = np.array([0, -1, 1])[LABELS]
    for colors in (["red", "blue"], {"roof": RED, "sea": "#0000ff"}):
        masks = read_masks(tmp_path, colors=colors, unlabeled="white")
        np.testing.assert_array_equal(masks[0], expected)
    assert masks.names == {0: "roof", 1: "sea"}
    masks = read_masks(tmp_path, colors={7: RED, 3: BLUE, 4: WHITE}, unlabeled=4)
    np.testing.assert_array_equal(masks[0], np.array([7, -1, 3])[LABELS])


def test_a_color_that_is_not_listed_is_refused(tmp_path):
    """The error names the file, the color and a pixel."""
    save_colors(tmp_path / "a.png", LABELS, [RED, (10, 200, 10), BLUE])
    message = r"a\.png: .*\[10, 200, 10\] on 300 pixels, first at row 0, column 10"
    with pytest.raises(ValueError, match=message):
        read_masks(tmp_path, colors=["red", "blue"])


def test_transparent_pixels_are_unlabeled(tmp_path):
    """An alpha below one half is no stroke."""
    colors = [(*RED, 255), (*BLUE, 0), (*BLUE, 200)]
    save_colors(tmp_path / "a.png", LABELS, colors)
    masks = read_masks(tmp_path)
    np.testing.assert_array_equal(masks[0] == -1, LABELS == 1)
    assert masks.colors == {0: BLUE, 1: RED}
    assert masks.unlabeled == ("transparent",)


def paint_softly(path, size=(120, 160)):
    """Paint strokes of red, blue and their mixture with smooth edges on white."""
    factor = 4
    picture = Image.new("RGB", (size[1] * factor, size[0] * factor), WHITE)
    draw = ImageDraw.Draw(picture)
    for i, color in enumerate([RED, BLUE, (128, 0, 128)]):
        top = factor * (20 + 30 * i)
        line = [factor * 10, top, factor * 140, top + factor * 13]
        draw.line(line, color, width=factor * 6)
    exact = np.array(picture.resize(size[::-1], Image.Resampling.NEAREST))
    picture.resize(size[::-1], Image.Resampling.BOX).save(path)
    return exact


@pytest.mark.parametrize("colors", [None, [BLUE, (128, 0, 128), RED]])
def test_smooth_edges_of_strokes_are_no_classes(tmp_path, colors):
    """Colors are learned or listed; mixtures of two take the more similar of them."""
    exact = paint_softly(tmp_path / "a.png")
    masks = read_masks(tmp_path, colors=colors, unlabeled="white")
    assert set(masks.colors.values()) == {RED, BLUE, (128, 0, 128)}
    painted = np.array([*[masks.colors[k] for k in range(3)], WHITE])[masks[0]]
    wrong = (painted != exact).any(axis=2)
    assert wrong.mean() < 0.01
    assert "soft edges" in repr(masks)


def test_a_picture_resized_with_interpolation_keeps_its_classes(tmp_path):
    """Between red and blue, purple is no class, even if purple is one elsewhere."""
    purple = (128, 0, 128)
    small = np.array([RED, BLUE, purple], np.uint8)[LABELS]
    size = (3 * LABELS.shape[1], 3 * LABELS.shape[0])
    Image.fromarray(small).resize(size, Image.Resampling.BILINEAR).save(
        tmp_path / "a.png"
    )
    mask = read_mask(tmp_path / "a.png", colors=[RED, BLUE, purple])
    exact = LABELS.repeat(3, axis=0).repeat(3, axis=1)
    assert (mask == exact).mean() > 0.99
    red_beside_blue = slice(0, 28), slice(20, 40)
    np.testing.assert_array_equal(mask[red_beside_blue], exact[red_beside_blue])


def test_thin_strokes_of_a_pencil_are_classes(tmp_path):
    """A color of exact lines has a label, though it fills no square."""
    labels = np.zeros((60, 80), int)
    labels[10, 5:70], labels[30, 5:70] = 1, 2
    save_colors(tmp_path / "a.png", labels, [WHITE, RED, GREEN])
    mask = read_mask(tmp_path / "a.png", unlabeled="white")
    np.testing.assert_array_equal(mask, np.array([-1, 1, 0])[labels])


def test_listed_grays_have_soft_edges_too(tmp_path):
    """Black strokes on white are read like colored ones."""
    exact = np.kron(np.where(LABELS == 1, 0, 255), np.ones((4, 4))).astype(np.uint8)
    exact[30:50, 30:50] = 128
    picture = Image.fromarray(exact).resize((90, 30), Image.Resampling.BILINEAR)
    picture.save(tmp_path / "a.png")
    masks = read_masks(tmp_path, colors=["black", "gray"], unlabeled="white")
    nearest = Image.fromarray(exact).resize((90, 30), Image.Resampling.NEAREST)
    labels = {0: 0, 128: 1, 255: -1}
    expected = np.vectorize(labels.get)(np.array(nearest))
    assert (masks[0] == expected).mean() > 0.98
    assert masks.labels == [0, 1]


def test_grays_saved_as_colors_are_numbers(tmp_path):
    """A label image that was saved as RGB has its labels."""
    Image.fromarray(np.stack([LABELS * 5] * 3, axis=2).astype(np.uint8)).save(
        tmp_path / "a.png"
    )
    np.testing.assert_array_equal(read_mask(tmp_path / "a.png"), LABELS * 5)


def test_a_photograph_is_no_mask(tmp_path, images):
    """Neither its colors nor a JPEG file can be labels."""
    Image.fromarray(images[0]).save(tmp_path / "a.jpg")
    with pytest.raises(ValueError, match=r"a\.jpg: .*JPEG.*PNG"):
        read_mask(tmp_path / "a.jpg")
    noise = np.random.default_rng(0).integers(0, 256, (40, 40, 3), dtype=np.uint8)
    blocks = noise.repeat(4, axis=0).repeat(4, axis=1)
    Image.fromarray(blocks).save(tmp_path / "a.png")
    with pytest.raises(ValueError, match="colors of flat areas, as in a photograph"):
        read_mask(tmp_path / "a.png")


def test_files_of_two_kinds_are_refused(tmp_path):
    """Gray numbers and colors are two annotations."""
    save_colors(tmp_path / "a.png", LABELS, [RED, WHITE, BLUE])
    Image.fromarray(LABELS.astype(np.uint8)).save(tmp_path / "b.png")
    with pytest.raises(ValueError, match=r"b\.png: expected colors as in the other"):
        read_masks(tmp_path)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.png", b"", "cannot be read as a PNG"),
        ("a.tif", b"text", "cannot be read as a TIFF"),
        ("a.npy", b"text", "cannot be read as an array"),
        ("a.json", b"{", "cannot be read as JSON"),
        ("a.json", b"{}", "labelme, COCO or Label Studio"),
        ("a.xml", b"<a>", "cannot be read as XML"),
        ("a.xml", b"<a/>", "CVAT for images 1.1"),
        ("a.txt", b"", r"expected one of the endings .*\.png"),
    ],
)
def test_damaged_files_are_named(tmp_path, name, content, message):
    """The error says which file and what was expected."""
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ValueError, match=rf"{name.replace('.', '[.]')}.*{message}"):
        read_mask(tmp_path / name)


def test_probabilities_are_no_labels(tmp_path):
    """ilastik exports them too."""
    np.save(tmp_path / "a.npy", np.zeros((4, 5, 2)))
    with pytest.raises(ValueError, match=r"a\.npy: .*\(4, 5, 2\); export labels"):
        read_mask(tmp_path / "a.npy")


def test_a_mark_that_does_not_occur_warns(tmp_path):
    """The warning lists the labels."""
    np.save(tmp_path / "a.npy", LABELS)
    with pytest.warns(UnlabeledWarning, match=r"no file has 255.*\[0, 1, 2\]"):
        masks = read_masks(tmp_path, unlabeled=255)
    assert masks.unlabeled == ()


@pytest.fixture
def folders(tmp_path):
    """Three photographs and, in another folder, their masks with longer names."""
    for folder in ("photographs", "masks"):
        (tmp_path / folder).mkdir()
    for i, name in enumerate(["b_1", "b_10", "a"]):
        image = np.full((20, 30 + i, 3), 90, np.uint8)
        Image.fromarray(image).save(tmp_path / "photographs" / f"{name}.jpg")
        mask = np.full((20, 30 + i), i, np.uint8)
        Image.fromarray(mask).save(tmp_path / "masks" / f"{name}_labels.png")
    return tmp_path


def test_masks_are_paired_with_files_by_name(folders):
    """The order is that of the images; a longer name goes with the longest match."""
    files = [folders / "photographs" / f"{name}.jpg" for name in ("b_10", "a", "b_1")]
    for like in (files, FileSequence(read_photograph, files)):
        masks = read_masks(folders / "masks", like)
        assert [mask[0, 0] for mask in masks] == [1, 2, 0]
    masks = read_masks(folders / "masks", folders / "photographs")
    assert [mask[0, 0] for mask in masks] == [2, 0, 1]


def test_images_without_a_mask_are_listed(folders):
    """So are images with two."""
    (folders / "masks" / "a_labels.png").unlink()
    with pytest.raises(ValueError, match=r"got none for \['a\.jpg'\]"):
        read_masks(folders / "masks", folders / "photographs")
    for ending in ("x", "y"):
        Image.new("L", (32, 20)).save(folders / "masks" / f"a-{ending}.png")
    with pytest.raises(ValueError, match=r"a-x\.png.*a-y\.png.* for a\.jpg"):
        read_masks(folders / "masks", folders / "photographs")


def test_images_of_one_name_are_refused(folders):
    """A mask could belong to either."""
    files = [folders / "photographs" / "a.jpg", folders / "elsewhere" / "a.jpg"]
    with pytest.raises(ValueError, match=r"like: .*different names, got .*\['a'\]"):
        read_masks(folders / "masks", files)


def test_masks_are_paired_with_arrays_by_order(folders):
    """The numbers and sizes must agree."""
    sizes = [(20, 32), (20, 30), (20, 31)]
    images = [np.zeros((*size, 3), np.uint8) for size in sizes]
    masks = read_masks(folders / "masks", images)
    assert [mask.shape for mask in masks] == sizes
    with pytest.raises(ValueError, match="3 masks for 2 images"):
        read_masks(folders / "masks", images[:2])
    with pytest.raises(ValueError, match=r"b_1_labels\.png: expected shape \(20, 31\)"):
        read_masks(folders / "masks", [images[0], images[2], images[1]])


def test_a_mask_that_ignores_exif_is_refused(tmp_path):
    """The photograph is upright, and the error names EXIF."""
    photograph = Image.new("RGB", (30, 20))
    exif = photograph.getexif()
    exif[0x0112] = 6
    photograph.save(tmp_path / "a.jpg", exif=exif)
    Image.new("L", (30, 20)).save(tmp_path / "a.png")
    with pytest.raises(ValueError, match=r"a\.png: .*\(30, 20\).*EXIF"):
        read_mask(tmp_path / "a.png", tmp_path / "a.jpg")


def test_masks_are_a_sequence_for_scikit_learn(folders):
    """They are indexed, split and pickled without being read."""
    masks = read_masks(folders / "masks", folders / "photographs")
    train, test = next(KFold(3).split(masks))
    assert [mask[0, 0] for mask in masks[train]] == [0, 1]
    copy = pickle.loads(pickle.dumps(masks[test]))
    assert (len(copy), copy.shape, copy[0][0, 0]) == (1, (1,), 2)
    assert copy.labels == [0, 1, 2]
    assert repr(copy).startswith("Masks(1 mask, not in memory)")


def test_colors_of_a_resized_picture_that_are_not_clear_are_refused(tmp_path):
    """Many colors without a flat area are no classes; they must be listed."""
    gradient = np.zeros((40, 200, 3), np.uint8)
    gradient[..., 0] = np.arange(200)
    gradient[..., 1] = np.arange(200) ** 2 % 251
    Image.fromarray(gradient).save(tmp_path / "a.png")
    with pytest.raises(ValueError, match="colors that fill no square.*pass the colors"):
        read_mask(tmp_path / "a.png")
