"""Warnings of masks that are not what was meant, and their absence elsewhere."""

import warnings

import cv2
import numpy as np
import pytest
from PIL import Image
from sklearn.model_selection import KFold

from sklearn_zoomout import (
    SegmentedImage,
    Superpixels,
    SuperpixelSegmenter,
    mark_unlabeled,
)
from sklearn_zoomout.datasets import load_scribbled_photographs, make_scenes
from sklearn_zoomout.exceptions import (
    LostClassWarning,
    MaskWarning,
    SoftEdgeWarning,
    UnlabeledWarning,
)
from sklearn_zoomout.labels import label_rows
from sklearn_zoomout.loss import warn_of_lost_classes
from sklearn_zoomout.masks import check_masks, iter_training_masks


def check(masks):
    """Check masks as fit does."""
    return list(iter_training_masks(masks, [np.asarray(mask) for mask in masks]))


def strokes(unlabeled, labels=(1, 2, 3), size=(150, 200)):
    """Two masks of strokes of 7 pixels, the rest of a label."""
    masks = []
    for i in range(2):
        mask = np.full(size, unlabeled, np.int16)
        for k, label in enumerate(labels):
            row = 20 + 40 * k + 3 * i
            cv2.line(mask, (20, row), (70, row + 15), label, 7)
        masks.append(mask)
    return masks


def objects(labels=(1, 2, 3), size=(150, 200)):
    """Two masks of discs and standing figures on 95 % of background."""
    masks = []
    for i in range(2):
        mask = np.zeros(size, np.uint8)
        for k, label in enumerate(labels):
            place = (30 + 60 * k, 40 + 10 * i)
            cv2.ellipse(mask, place, (6, 12), 20 * k, 0, 360, label, -1)
            cv2.circle(mask, (place[0], 110), 10, label, -1)
        masks.append(mask)
    return masks


@pytest.fixture
def no_warning():
    """Let every warning of masks be an error."""
    with warnings.catch_warnings():
        warnings.simplefilter("error", MaskWarning)
        yield


@pytest.mark.parametrize("unlabeled", [0, 9])
def test_strokes_on_an_unmarked_label_warn(unlabeled):
    """The warning names the label and what turns it into -1."""
    message = rf"masks: label {unlabeled} has 9\d% .*\[1, 2, 3\], are thin strokes.*"
    cure = rf"mark_unlabeled\(masks, {unlabeled}\)"
    with pytest.warns(UnlabeledWarning, match=message + cure):
        check(strokes(unlabeled))


def test_the_scribbles_of_photographs_warn_if_they_are_not_marked():
    """Real strokes have corners and blots."""
    scribbles = load_scribbled_photographs().scribbles
    with pytest.warns(UnlabeledWarning, match="label 0 has 97%"):
        check([np.where(mask < 0, 0, mask + 1) for mask in scribbles])


@pytest.mark.usefixtures("no_warning")
def test_marked_strokes_do_not_warn():
    """-1 says that pixels have no label."""
    check(strokes(-1))
    check(mark_unlabeled(strokes(0), 0))
    check(load_scribbled_photographs().scribbles)


@pytest.mark.usefixtures("no_warning")
def test_small_objects_on_a_background_do_not_warn():
    """Compact objects are no strokes, and neither is a single thin class."""
    assert np.mean([mask == 0 for mask in objects()]) > 0.9
    check(objects())
    check(strokes(0, labels=(1,)))  # cracks, vessels or roads


@pytest.mark.usefixtures("no_warning")
def test_membranes_do_not_warn():
    """A net of thin lines between cells covers more than strokes do."""
    points = np.random.default_rng(0).integers(0, 150, (60, 2))
    rows, columns = np.indices((150, 150))
    distance = np.stack([np.hypot(rows - y, columns - x) for y, x in points])
    near, second = np.sort(distance, axis=0)[:2]
    check([(second - near < 2).astype(np.uint8)])


@pytest.mark.parametrize("largest", [255, 65_535])
def test_the_largest_value_far_from_the_others_warns(largest):
    """It marks unlabeled pixels in PASCAL VOC and elsewhere."""
    masks = [mask.astype(np.uint16) for mask in objects()]
    masks[1][:3] = largest
    with pytest.warns(UnlabeledWarning, match=rf"label {largest} .*\[0, 1, 2, 3\]"):
        check(masks)
    with warnings.catch_warnings():
        warnings.simplefilter("error", MaskWarning)
        check(mark_unlabeled(masks, largest))


@pytest.mark.usefixtures("no_warning")
@pytest.mark.parametrize("labels", [(0, 255), (0, 128, 255), (10, 20, 255), (254, 255)])
def test_the_largest_value_may_be_a_class(labels):
    """In masks of black and white, of several grays, and where all labels are large."""
    check([np.repeat([labels], 30, axis=0).repeat(10, axis=1).astype(np.uint8)])


@pytest.mark.parametrize(
    "value", [2**63, 2**64 - 1, 2**32 - 1], ids=["2**63", "uint64", "uint32"]
)
def test_labels_that_no_signed_type_holds_are_refused(value):
    """So is -1 in an unsigned type, with what to do."""
    mask = np.array([[0, value]], np.uint64)
    with pytest.raises(ValueError, match=rf"masks\[0\]: expected labels.* {value}"):
        check_masks([mask], [mask])
    with pytest.raises(ValueError, match=rf"masks\[0\]: expected labels.* {value}"):
        mark_unlabeled([mask], 0)[0]
    assert mark_unlabeled([mask], value)[0].tolist() == [[0, -1]]


def test_a_mark_that_no_pixel_has_warns():
    """The warning lists the labels; a fold without the mark is no reason to warn."""
    masks = mark_unlabeled(objects(), 255)
    with pytest.warns(UnlabeledWarning, match=r"no pixel of 2 masks has 255.*\[0, 1"):
        check(masks)
    train, _ = next(KFold(2).split(masks))
    with warnings.catch_warnings():
        warnings.simplefilter("error", MaskWarning)
        check(masks[train])


@pytest.mark.parametrize("how", ["BILINEAR", "BICUBIC", "BOX"])
def test_masks_resized_with_interpolation_warn(how):
    """The warning names the mixtures and another way to resize."""
    small = Image.fromarray(np.kron([[0, 40], [120, 200]], np.ones((40, 50))))
    size = (250, 190) if how != "BOX" else (73, 59)
    image = small.convert("L").resize(size, Image.Resampling[how])
    with pytest.warns(SoftEdgeWarning, match="of .* labels.*NEAREST"):
        check([np.array(image)])


@pytest.mark.usefixtures("no_warning")
def test_rare_classes_are_no_mixtures():
    """Many small objects, thin strokes and numbered objects are labels like others."""
    rng = np.random.default_rng(0)
    rare = np.zeros((150, 200), np.uint8)
    for label in range(1, 30):
        row, column = rng.integers(5, 140, 2)
        rare[row : row + 3, column : column + 3] = label
    check([rare])
    check(strokes(-1, labels=range(12), size=(500, 200)))
    check(make_scenes(4, size=(64, 80), random_state=0)[1])


def test_fit_warns_once(images, masks):
    """The segmenter warns, and later steps of the pipeline do not repeat it."""
    marked = [np.where(mask == 2, 255, mask) for mask in masks]
    with pytest.warns(UnlabeledWarning) as record:
        superpixels = SuperpixelSegmenter(20).fit_transform(images, marked)
        label_rows(superpixels, marked)
    assert len(record) == 1


def grid_of(mask, size):
    """Superpixels that are squares, of an image that does not matter."""
    rows, columns = np.indices(mask.shape)
    segments = (rows // size) * (mask.shape[1] // size) + columns // size
    return SegmentedImage(np.zeros((*mask.shape, 3)), segments)


def test_a_class_that_loses_most_of_its_pixels_warns():
    """The warning says how many are left; superpixels of half the size keep all."""
    mask = np.zeros((40, 40), int)
    mask[:8, :8] = 1
    mask[8:, 17:20] = 1  # three of the eight columns of a superpixel
    labeled = label_rows(Superpixels([grid_of(mask, 8)]), [mask])
    assert labeled.kept.tolist() == [1, 64 / 160]
    with pytest.warns(LostClassWarning, match=r"class 1 keeps 40% .*n_segments"):
        warn_of_lost_classes(labeled)
    labeled = label_rows(Superpixels([grid_of(mask, 4)]), [mask])
    assert labeled.kept.tolist() == [1 - 32 / 1440, 1]
    warn_of_lost_classes(labeled)


@pytest.mark.usefixtures("no_warning")
def test_masks_that_are_only_scored_with_do_not_warn():
    """Nothing is learned from them."""
    masks = strokes(0)
    superpixels = Superpixels(grid_of(mask, 10) for mask in masks)
    assert len(list(superpixels.iter_masks(masks, to_learn=False))) == 2
    with pytest.raises(UnlabeledWarning):
        list(superpixels.iter_masks(masks))
