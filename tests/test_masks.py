"""The gate for masks, and other conventions for unlabeled pixels."""

import pickle

import numpy as np
import pytest

from sklearn_zoomout import mark_unlabeled
from sklearn_zoomout.datasets import FileSequence
from sklearn_zoomout.masks import check_masks, iter_training_masks


@pytest.fixture
def image():
    """A small image in uint8."""
    return np.random.default_rng(0).integers(0, 256, (6, 8, 3), dtype=np.uint8)


def test_masks_of_any_integer_kind_are_accepted(image):
    """Integers, booleans and integral floats can all be labels."""
    labels = np.arange(48).reshape(6, 8)
    kinds = [labels.astype(t) for t in (np.uint8, np.int64, float, bool)]
    checked = check_masks(kinds, [image] * 4)
    assert [mask.dtype.kind for mask in checked] == ["u", "i", "i", "b"]


@pytest.mark.parametrize(
    ("mask", "message"),
    [
        (np.zeros((8, 6), int), r"masks\[0\].*\(6, 8\).*\(8, 6\)"),
        (np.zeros((6, 8, 3), int), r"masks\[0\].*colors.*palette PNG"),
        (np.full((6, 8), 0.5), r"masks\[0\].*integer.*0\.5 at row 0, column 0"),
        (np.full((6, 8), np.nan), r"masks\[0\].*integer.*nan"),
        (np.full((6, 8), -2), r"masks\[0\].*-1 for unlabeled.*-2"),
        (np.ma.masked_equal(np.eye(6, 8, dtype=int), 1), r"masks\[0\].*filled\(-1\)"),
        (7, r"masks\[0\].*that of its image, got 7"),
        (np.full((6, 8), "sky"), r"masks\[0\].*integer.*dtype <U3"),
    ],
)
def test_wrong_masks_are_named_and_explained(image, mask, message):
    """The error says which mask, what came, and what to do."""
    with pytest.raises(ValueError, match=message):
        check_masks([mask], [image])


def test_a_path_is_no_mask(image):
    """The error says how masks are read from files."""
    message = r"masks\[0\].*the path 'a\.png'.*read_masks"
    with pytest.raises(TypeError, match=message):
        check_masks(["a.png"], [image])
    with pytest.raises(TypeError, match=message):
        mark_unlabeled(["a.png"], 255)[0]


ONE_HOT = np.eye(3, dtype=int)[np.arange(48).reshape(6, 8) % 3]


@pytest.mark.parametrize(
    ("mask", "error", "cure"),
    [
        (None, TypeError, r"None, which cv2\.imread .*check the path"),
        ({"mask": 1}, TypeError, r"a dictionary with the keys \['mask'\]"),
        (np.zeros((1, 6, 8), int), ValueError, r"length 1; pass mask\[0\]"),
        (np.zeros((6, 8, 1), int), ValueError, r"length 1; pass mask\[\.\.\., 0\]"),
        (ONE_HOT, ValueError, r"one plane .*mask\.any\(-1\), mask\.argmax\(-1\), -1"),
        (np.moveaxis(ONE_HOT, 2, 0), ValueError, r"mask\.argmax\(0\)"),
        (np.full((6, 8, 5), 0.2), ValueError, r"numbers per class; pass mask\.argmax"),
        (np.full((6, 8), np.nan), ValueError, r"nan at row 0.*isnan\(mask\), -1, mask"),
        (np.full((6, 8), -9999), ValueError, r"where\(mask == -9999, -1, mask\)"),
        (np.full((6, 8), -9999.0), ValueError, r"where\(mask == -9999, -1, mask\)"),
        (np.full((6, 8), 1e20), ValueError, r"1e\+20 .*below 2\*\*63"),
        (np.full((6, 8), 2**70), ValueError, r"below 2\*\*63.*number the classes"),
        (np.full((6, 8), 1.5), ValueError, r"1\.5 .*the nearest label"),
        ([[1, 2], [3]], ValueError, "that numpy cannot convert"),
    ],
    ids=[
        *("None", "dictionary", "first axis", "last axis", "one-hot", "one-hot first"),
        "probabilities",
        *("NaN", "nodata", "float nodata", "large float", "large int", "fraction"),
        "ragged",
    ],
)
def test_what_is_no_mask_is_named_with_its_cure(image, mask, error, cure):
    """Each kind of mistake has its own cure."""
    good = np.zeros((6, 8), int)
    with pytest.raises(error, match=rf"masks\[1\]: expected .*{cure}"):
        check_masks([good, mask], [image, image])


def test_the_cure_for_planes_of_classes_works(image):
    """A pixel without a class is unlabeled."""
    planes = ONE_HOT.copy()
    planes[0, 0] = 0
    with pytest.raises(ValueError, match="one plane of zeros and ones"):
        check_masks([planes], [image])
    (mask,) = check_masks([np.where(planes.any(-1), planes.argmax(-1), -1)], [image])
    assert mask[0, :3].tolist() == [-1, 1, 2]


def test_a_pair_of_image_and_mask_is_no_mask(image):
    """The error says how pairs become two lists."""
    for pair in ((image, np.zeros((6, 8), int)), [np.zeros((6, 8), int), image]):
        with pytest.raises(ValueError, match=r"masks\[0\]: .*pair.*zip\(\*pairs\)"):
            check_masks([pair], [image])


def test_tensors_are_masks_unless_they_require_gradients(image):
    """The error says how to detach them."""
    torch = pytest.importorskip("torch")
    labels = torch.ones(6, 8, dtype=torch.long)
    assert check_masks([labels], [image])[0].dtype == np.int64
    soft = torch.ones(6, 8, requires_grad=True)
    with pytest.raises(ValueError, match=r"masks\[0\]: .*mask\.detach\(\)"):
        check_masks([soft], [image])
    with pytest.raises(ValueError, match=r"masks\[0\]: .*mask\.cpu\(\)\.long\(\)"):
        check_masks([soft.detach().bfloat16()], [image])


def test_a_transposed_mask_names_exif(image):
    """Height and width are swapped where a program ignores how the camera was held."""
    with pytest.raises(ValueError, match=r"masks\[0\]: .*swapped.*EXIF"):
        check_masks([np.zeros((8, 6), int)], [image])
    with pytest.raises(ValueError, match=r"got \(8, 7\)\.$"):
        check_masks([np.zeros((8, 7), int)], [image])


def test_a_missing_mask_is_counted(image):
    """The error gives both numbers."""
    mask = np.zeros((6, 8), int)
    with pytest.raises(ValueError, match="1 masks for 2 images"):
        check_masks([mask], [image, image])
    with pytest.raises(TypeError, match="masks: .*one array"):
        check_masks(mask, [image])


def test_a_stack_is_a_list_of_masks(image):
    """Errors have the name of the argument."""
    stack = np.zeros((2, 6, 8), int)
    assert len(check_masks(stack, [image] * 2)) == 2
    for wrong in (None, stack[0], stack[:1], stack - 2):
        for check in (check_masks, iter_training_masks):
            with pytest.raises((TypeError, ValueError), match="^truth"):
                list(check(wrong, [image] * 2, "truth"))
    with pytest.raises(TypeError, match="put a mask into a list"):
        check_masks(stack[0], [image])


COLORS = [(200, 0, 0), (0, 0, 200)]
WHITE = (255, 255, 255)


def picture(labels):
    """Paint labels in `COLORS`, unlabeled pixels in white."""
    return np.array([*COLORS, WHITE], dtype=np.uint8)[labels]


@pytest.mark.parametrize(
    ("dtype", "expected"),
    [
        (np.uint8, np.int16),
        (np.uint16, np.int32),
        (np.int64, np.int64),
        (np.uint64, np.int64),
    ],
)
def test_a_label_is_turned_into_minus_one(dtype, expected):
    """Other labels stay, in a signed type that holds them."""
    mask = np.array([[0, 7, 255]], dtype=dtype)
    marked = mark_unlabeled([mask], 255)[0]
    assert marked.tolist() == [[0, 7, -1]]
    assert marked.dtype == expected
    assert mask.tolist() == [[0, 7, 255]]


def test_zero_can_be_unlabeled():
    """The classes of napari's label images begin at 1."""
    assert mark_unlabeled([np.array([[0, 1, 2]])], 0)[0].tolist() == [[-1, 1, 2]]


def test_colors_become_labels():
    """A picture of strokes becomes a mask; its own color is unlabeled."""
    masks = mark_unlabeled([picture([[0, 1, -1, 1]])], WHITE, colors=COLORS)
    assert masks[0].tolist() == [[0, 1, -1, 1]]
    assert masks[0].dtype == np.int8


def test_nothing_is_read_before_it_is_asked_for():
    """Slices and lists of indices are lazy too, and keep their order."""
    read = []

    def load(name):
        read.append(name)
        return np.full((2, 2), name)

    masks = mark_unlabeled(FileSequence(load, range(5)), 3)
    part = masks[1:][[3, 2, 0]]
    assert (len(masks), len(part), part.shape) == (5, 3, (3,))
    assert read == []
    assert [mask[0, 0] for mask in part] == [4, -1, 1]
    assert read == [4, 3, 1]


def test_masks_are_indexed_as_scikit_learn_does():
    """Splitters index with arrays, negative numbers count from the end."""
    masks = mark_unlabeled([np.full((1, 1), i) for i in range(4)], 0)
    assert [m.item() for m in masks[np.array([3, 0])]] == [3, -1]
    assert masks[-1].item() == 3
    assert pickle.loads(pickle.dumps(masks))[0].item() == -1


@pytest.mark.parametrize(
    ("masks", "arguments", "message"),
    [
        ([np.zeros((2, 2))], (0,), r"masks\[0\]: expected integer .* float64"),
        ([np.array([[-1, 255]])], (255,), r"masks\[0\]: .* got -1 too"),
        ([np.zeros((4, 5, 3), int)], (255,), r"masks\[0\]: .*\(4, 5, 3\).*as colors"),
        ([np.zeros((1, 1, 3), int)], (WHITE, COLORS), r"got \[0, 0, 0\] at row 0"),
        ([np.zeros((2, 2), int)], (WHITE, COLORS), r"shape \(height, width, 3\)"),
    ],
)
def test_wrong_masks_are_named_when_they_are_read(masks, arguments, message):
    """An ambiguous mask is an error that names it."""
    unlabeled, *colors = arguments
    marked = mark_unlabeled(masks, unlabeled, colors=colors[0] if colors else None)
    with pytest.raises(ValueError, match=message):
        marked[0]


@pytest.mark.parametrize(
    ("unlabeled", "colors", "message"),
    [
        (WHITE, None, "unlabeled: expected a label"),
        (True, None, "unlabeled: expected a label"),
        (255, COLORS, "unlabeled: expected the RGB color"),
        (WHITE, [(0, 0)], "colors: expected one RGB color"),
        (WHITE, [WHITE], "colors: expected distinct colors"),
        (WHITE, [COLORS[0]] * 2, "colors: expected distinct colors"),
    ],
)
def test_wrong_conventions_are_refused_at_once(unlabeled, colors, message):
    """What cannot mark unlabeled pixels is refused before a mask is read."""
    with pytest.raises(ValueError, match=message):
        mark_unlabeled([np.zeros((1, 1), int)], unlabeled, colors=colors)


def test_one_mask_instead_of_a_list_is_refused():
    """A single array is no sequence of masks."""
    with pytest.raises(TypeError, match="masks: expected a list of arrays"):
        mark_unlabeled(np.zeros((4, 4), int), 0)
