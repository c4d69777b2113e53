"""Masks from the files of labelme, Label Studio, CVAT and COCO."""

import base64
import io
import json

import numpy as np
import pytest
from PIL import Image

from sklearn_zoomout import read_mask, read_masks

SIZE = (40, 60)
# Half of the square lies below the triangle's longest side.
TRIANGLE = [[0, 0], [20, 0], [0, 20]]
SQUARE = [[30, 10], [50, 10], [50, 30], [30, 30]]


def write(path, content):
    """Write JSON, or XML as it is."""
    text = content if isinstance(content, str) else json.dumps(content)
    path.write_text(text)
    return path


def square(top, bottom, left, right):
    """Which pixels of an image lie in a rectangle."""
    inside = np.zeros(SIZE, bool)
    inside[top:bottom, left:right] = True
    return inside


def labelme(*shapes, **changed):
    """Content of a file of labelme with shapes (label, type, points)."""
    listed = [
        {"label": label, "shape_type": kind, "points": points} | more
        for label, kind, points, *rest in shapes
        for more in [rest[0] if rest else {}]
    ]
    size = {"imageHeight": SIZE[0], "imageWidth": SIZE[1]}
    return {"imagePath": "a.jpg", "shapes": listed} | size | changed


def test_labelme_polygons_and_rectangles(tmp_path):
    """A pixel belongs to an area if its center does; names are numbered by letters."""
    shapes = [("sky", "polygon", TRIANGLE), ("cat", "rectangle", SQUARE[::2])]
    write(tmp_path / "a.json", labelme(*shapes))
    masks = read_masks(tmp_path)
    rows, columns = np.indices(SIZE) + 0.5
    expected = np.full(SIZE, -1)
    expected[rows + columns < 20] = 1
    expected[square(10, 30, 30, 50)] = 0
    differs = masks[0] != expected
    assert not differs[rows + columns != 20].any()  # but for centers on the side
    assert masks.names == {0: "cat", 1: "sky"}
    assert masks.unlabeled == ("outside of shapes",)


def test_labelme_circles_lines_and_points(tmp_path):
    """A circle has its center and a point of its edge; lines are 10 pixels wide."""
    shapes = [
        ("a", "circle", [[15, 20], [15, 30]]),
        ("b", "linestrip", [[35, 5], [35, 35]]),
        ("c", "point", [[50, 20]]),
    ]
    mask = read_mask(write(tmp_path / "a.json", labelme(*shapes)))
    rows, columns = np.indices(SIZE) + 0.5
    disc = (columns - 15) ** 2 + (rows - 20) ** 2
    assert (mask[disc < 9.5**2] == 0).all()
    assert (mask[(disc > 10.5**2) & (columns < 27)] == -1).all()
    assert (mask[10:30, 31:39] == 1).all()
    assert (mask[:, [28, 41]] == -1).all()
    assert 60 < (mask == 2).sum() < 90


def test_labelme_masks_are_pictures(tmp_path):
    """They are stored as a PNG file of their rectangle."""
    patch = np.eye(6, 8, dtype=np.uint8)
    file = io.BytesIO()
    Image.fromarray(patch).save(file, format="PNG")
    more = {"mask": base64.b64encode(file.getvalue()).decode()}
    shape = ("a", "mask", [[10, 5], [17, 10]], more)
    mask = read_mask(write(tmp_path / "a.json", labelme(shape)), background=7)
    expected = np.full(SIZE, 7)
    expected[5:11, 10:18][patch > 0] = 0
    np.testing.assert_array_equal(mask, expected)


def test_the_later_shape_lies_above(tmp_path):
    """Shapes are drawn in the order of the file."""
    shapes = [("a", "rectangle", [[0, 0], [30, 30]]), ("b", "polygon", SQUARE)]
    shapes[1] = ("b", "rectangle", [[20, 20], [50, 40]])
    for order, expected in ((1, 1), (-1, 0)):
        file = write(tmp_path / "a.json", labelme(*shapes[::order]))
        assert read_mask(file)[25, 25] == expected


def test_labelme_without_size_is_refused(tmp_path):
    """Shapes alone do not say how large the image is."""
    file = write(tmp_path / "a.json", labelme(imageHeight=None))
    with pytest.raises(ValueError, match=r"a\.json: expected imageHeight"):
        read_mask(file)


def test_shapes_may_reach_beyond_the_image(tmp_path):
    """What lies outside is cut off, and a polygon of two points has no area."""
    shapes = [
        ("a", "rectangle", [[-20, -20], [10, 10]]),
        ("a", "polygon", [[50, 30], [90, 30], [90, 90], [50, 90]]),
        ("a", "polygon", [[30, 0], [30, 40]]),
        ("a", "circle", [[60, 0], [60, 5]]),
    ]
    mask = read_mask(write(tmp_path / "a.json", labelme(*shapes)))
    assert (mask[:, 10:50] == -1).all()
    expected = square(0, 10, 0, 10) | square(30, 40, 50, 60)
    np.testing.assert_array_equal(mask[6:] == 0, expected[6:])


def test_unknown_shapes_are_refused(tmp_path):
    """The error names the kind of shape."""
    file = write(tmp_path / "a.json", labelme(("a", "spline", TRIANGLE)))
    with pytest.raises(ValueError, match=r"a\.json: .*'spline'"):
        read_mask(file)


def test_names_number_the_classes_of_shapes(tmp_path):
    """A name can mark unlabeled pixels; a name that is not listed is an error."""
    shapes = [
        ("sea", "rectangle", [[0, 0], [60, 40]]),
        ("ignore", "rectangle", [[0, 0], [10, 10]]),
    ]
    file = write(tmp_path / "a.json", labelme(*shapes))
    mask = read_mask(file, names=["land", "sea"], unlabeled="ignore")
    np.testing.assert_array_equal(mask, np.where(square(0, 10, 0, 10), -1, 1))
    with pytest.raises(ValueError, match=r"names: .*\['ignore'\]"):
        read_mask(file, names=["land", "sea"])


def test_files_of_labelme_are_one_annotation(tmp_path):
    """The same name has the same label in all files."""
    for name, label in (("x", "cat"), ("y", "dog")):
        shape = (label, "rectangle", [[0, 0], [60, 40]])
        write(tmp_path / f"{name}.json", labelme(shape))
        Image.new("RGB", SIZE[::-1]).save(tmp_path / f"{name}.jpg")
    masks = read_masks(tmp_path, tmp_path, background="nothing")
    assert [mask[0, 0] for mask in masks] == [0, 1]
    assert masks.names == {0: "cat", 1: "dog", 2: "nothing"}


def pack_brush(values):
    """Pack bytes as Label Studio does: runs of 8 or 16 bits, and single values."""
    bits = f"{len(values):032b}" + f"{7:05b}" + "".join(f"{n - 1:04b}" for n in SIZES)
    starts = np.flatnonzero(np.diff(values.astype(int), prepend=-1))
    for start, stop in zip(starts, [*starts[1:], len(values)], strict=True):
        for first in range(start, stop, 2**12):
            length = min(stop - first, 2**12)
            size = next(i for i, n in enumerate(SIZES) if length <= 2**n)
            count = f"{size:02b}" + f"{length - 1:0{SIZES[size]}b}"
            repeated = length > 2
            bits += str(int(repeated)) + count
            bits += f"{values[first]:08b}" * (1 if repeated else length)
    bits += "0" * (-len(bits) % 8)
    return [int(bits[i : i + 8], 2) for i in range(0, len(bits), 8)]


SIZES = (3, 4, 8, 12)


def task(name, *results, **changed):
    """One image of an export of Label Studio, with results (type, value)."""
    size = {"original_width": SIZE[1], "original_height": SIZE[0]}
    listed = [{"type": kind, "value": value} | size for kind, value in results]
    return {
        "data": {"image": f"/data/upload/1/0123abcd-{name}"},
        "annotations": [{"was_cancelled": False, "result": listed} | changed],
    }


def test_label_studio_polygons_and_rectangles(tmp_path):
    """Positions are percent of width and height; images are found by their names."""
    points = [[100 * x / SIZE[1], 100 * y / SIZE[0]] for x, y in SQUARE]
    box = {"x": 50, "y": 25, "width": 50, "height": 50, "rotation": 0}
    file = write(
        tmp_path / "project.json",
        [
            task(
                "b.jpg", ("polygonlabels", {"points": points, "polygonlabels": ["p"]})
            ),
            task("a.jpg", ("rectanglelabels", box | {"rectanglelabels": ["r"]})),
        ],
    )
    masks = read_masks(file, ["a.jpg", "b.jpg"], background="rest")
    assert masks.names == {0: "p", 1: "r", 2: "rest"}
    np.testing.assert_array_equal(masks[0], np.where(square(10, 30, 30, 60), 1, 2))
    np.testing.assert_array_equal(masks[1], np.where(square(10, 30, 30, 50), 0, 2))
    np.testing.assert_array_equal(read_mask(file, "a.jpg") >= 0, masks[0] == 1)


def test_label_studio_rectangles_can_be_turned(tmp_path):
    """They turn clockwise around their upper left corner, and ellipses have radii."""
    box = {"x": 50, "y": 25, "width": 25, "height": 50, "rotation": 90}
    oval = {"x": 75, "y": 50, "radiusX": 10, "radiusY": 5}
    file = write(
        tmp_path / "a.json",
        [
            task(
                "a.jpg",
                ("rectanglelabels", box | {"rectanglelabels": ["r"]}),
                ("ellipselabels", oval | {"ellipselabels": ["s"]}),
            )
        ],
    )
    mask = read_mask(file)
    np.testing.assert_array_equal(mask == 0, square(10, 25, 10, 30))
    assert (mask[20, 40:50] == 1).all()
    assert (mask == 1).sum() == pytest.approx(np.pi * 6 * 2, abs=6)


def test_label_studio_brushes(tmp_path):
    """The alpha channel of the packed picture is the stroke."""
    inside = square(3, 20, 7, 30) | np.eye(*SIZE, dtype=bool)
    rgba = np.repeat(inside.ravel() * np.uint8(255), 4)
    value = {"format": "rle", "rle": pack_brush(rgba), "brushlabels": ["a"]}
    file = write(tmp_path / "a.json", [task("a.jpg", ("brushlabels", value))])
    np.testing.assert_array_equal(read_mask(file), np.where(inside, 0, -1))
    value["rle"] = value["rle"][:-5]
    write(file, [task("a.jpg", ("brushlabels", value))])
    with pytest.raises(ValueError, match=r"a\.json: a brush of 'a'"):
        read_mask(file)


def test_label_studio_cancelled_annotations_do_not_count(tmp_path):
    """Nor do results that are no regions; without any, the error says what to do."""
    choice = ("choices", {"choices": ["good"]})
    box = {"x": 0, "y": 0, "width": 100, "height": 100, "rectanglelabels": ["r"]}
    region = ("rectanglelabels", box)
    cancelled = task("a.jpg", region, was_cancelled=True)
    file = write(tmp_path / "a.json", [cancelled, task("b.jpg", choice)])
    with pytest.raises(ValueError, match=r"a\.json: .*none in 2 tasks"):
        read_masks(file)
    write(file, [cancelled, task("b.jpg", choice, region)])
    assert (read_mask(file) == 0).all()


CVAT = """<annotations><version>1.1</version><meta><job><labels>
<label><name>sky</name><color>#0000ff</color></label>
<label><name>cat</name><color>#ff0000</color></label>
</labels></job></meta>
<image id="0" name="folder/a.jpg" width="60" height="40">{}</image>
<image id="1" name="folder/b.jpg" width="60" height="40"/></annotations>"""


@pytest.mark.parametrize(
    ("element", "expected"),
    [
        (
            '<polygon label="cat" points="30.0,10.0;50.0,10.0;50.0,30.0;30.0,30.0"/>',
            square(10, 30, 30, 50),
        ),
        (
            '<box label="cat" xtl="30" ytl="10" xbr="50" ybr="30"/>',
            square(10, 30, 30, 50),
        ),
        (
            '<box label="cat" xtl="10" ytl="10" xbr="50" ybr="30" rotation="90"/>',
            square(0, 40, 20, 40),
        ),
        (
            '<mask label="cat" rle="1, 3, 1, 3" '
            'left="5" top="7" width="4" height="2"/>',
            square(7, 9, 6, 9),
        ),
    ],
    ids=["polygon", "box", "turned box", "mask"],
)
def test_cvat_shapes(tmp_path, element, expected):
    """The classes have the order and the colors of the project."""
    file = write(tmp_path / "annotations.xml", CVAT.format(element))
    masks = read_masks(file, ["a.jpg", "b.jpg"])
    np.testing.assert_array_equal(masks[0], np.where(expected, 1, -1))
    assert (masks[1] == -1).all()
    assert masks.names == {0: "sky", 1: "cat"}
    assert masks.colors == {0: (0, 0, 255), 1: (255, 0, 0)}


def test_cvat_shapes_of_a_larger_z_order_lie_above(tmp_path):
    """Also if they come first in the file."""
    box = '<box label="{}" xtl="0" ytl="0" xbr="60" ybr="40" z_order="{}"/>'
    elements = box.format("cat", 2) + box.format("sky", 1)
    file = write(tmp_path / "annotations.xml", CVAT.format(elements))
    assert (read_mask(file, "a.jpg") == 1).all()


def test_cvat_ellipses_lines_and_points(tmp_path):
    """A line is 10 pixels wide, a point has a radius of 5."""
    elements = (
        '<ellipse label="cat" cx="15" cy="20" rx="10" ry="5"/>'
        '<polyline label="sky" points="35,5;35,35"/>'
        '<points label="cat" points="50,20"/>'
    )
    mask = read_mask(
        write(tmp_path / "a.xml", CVAT.format(elements)), tmp_path / "a.jpg"
    )
    assert (mask[:, :28] == 1).sum() == pytest.approx(np.pi * 50, abs=12)
    assert (mask[10:30, 31:39] == 0).all()
    assert mask[20, 50] == 1


def test_cvat_unknown_shapes_are_refused(tmp_path):
    """The error names the element."""
    file = write(tmp_path / "a.xml", CVAT.format('<cuboid label="cat"/>'))
    with pytest.raises(ValueError, match=r"a\.xml: .*<cuboid>"):
        read_masks(file)


def coco(*segmentations, **changed):
    """Content of a file of COCO, with segmentations of categories 3 and 8."""
    return {
        "images": [{"id": 5, "file_name": "a.jpg", "height": 40, "width": 60}],
        "categories": [{"id": 3, "name": "cat"}, {"id": 8, "name": "sky"}],
        "annotations": [
            {"id": i, "image_id": 5, "category_id": 3, "segmentation": segmentation}
            | changed
            for i, segmentation in enumerate(segmentations)
        ],
    }


# A rectangle of 2 x 3 pixels at row 1, column 2 of 40 x 60, as pycocotools packs it.
COMPRESSED = "a22V1000gT2"


@pytest.mark.parametrize(
    ("segmentation", "expected"),
    [
        ([np.ravel(SQUARE).tolist()], square(10, 30, 30, 50)),
        (
            [np.ravel(SQUARE).tolist(), [0, 0, 5, 0, 5, 4, 0, 4]],
            square(10, 30, 30, 50) | square(0, 4, 0, 5),
        ),
        (
            {"counts": [81, 2, 38, 2, 38, 2, 2237], "size": [40, 60]},
            square(1, 3, 2, 5),
        ),
        ([], square(1, 3, 2, 5)),
    ],
    ids=["polygon", "two polygons", "run lengths", "box"],
)
def test_coco_segmentations(tmp_path, segmentation, expected):
    """Polygons, run lengths and, without either, boxes; numbers are the categories."""
    file = write(tmp_path / "a.json", coco(segmentation, bbox=[2, 1, 3, 2]))
    masks = read_masks(file, background=0)
    np.testing.assert_array_equal(masks[0], np.where(expected, 3, 0))
    assert masks.names == {3: "cat", 8: "sky"}


def test_coco_masks_at_the_edge_of_the_image(tmp_path):
    """Run lengths may begin with a run of no pixels."""
    segmentation = {"counts": [0, 40, 2320, 40], "size": [40, 60]}
    mask = read_mask(write(tmp_path / "a.json", coco(segmentation)))
    np.testing.assert_array_equal(
        mask == 3, square(0, 40, 0, 1) | square(0, 40, 59, 60)
    )


def test_coco_compressed_run_lengths(tmp_path):
    """They are packed in characters, six bits each."""
    segmentation = {"counts": COMPRESSED, "size": [40, 60]}
    mask = read_mask(write(tmp_path / "a.json", coco(segmentation)))
    np.testing.assert_array_equal(mask == 3, square(1, 3, 2, 5))


@pytest.mark.parametrize("counts", [[81, 2], COMPRESSED[:-1], "PPP"])
def test_coco_run_lengths_that_do_not_fit_are_refused(tmp_path, counts):
    """The error names the annotation."""
    segmentation = {"counts": counts, "size": [40, 60]}
    file = write(tmp_path / "a.json", coco(segmentation))
    with pytest.raises(ValueError, match=r"a\.json: annotation 0: expected"):
        read_mask(file)


def test_numbers_of_categories_are_kept_across_files(tmp_path):
    """A category of the same name has the number of the first file."""
    write(tmp_path / "a.json", coco([np.ravel(SQUARE).tolist()]))
    other = coco([np.ravel(SQUARE).tolist()], category_id=1)
    other["categories"] = [{"id": 1, "name": "cat"}, {"id": 3, "name": "dog"}]
    write(tmp_path / "b.json", other)
    masks = read_masks(tmp_path)
    assert [mask[20, 40] for mask in masks] == [3, 3]
    assert masks.names == {0: "dog", 3: "cat", 8: "sky"}


def test_missing_fields_are_named(tmp_path):
    """The error names the file and the field."""
    content = coco([np.ravel(SQUARE).tolist()])
    del content["images"][0]["height"]
    with pytest.raises(ValueError, match=r"a\.json: .*'height'"):
        read_mask(write(tmp_path / "a.json", content))


def test_shapes_and_pixels_are_two_annotations(tmp_path):
    """The error names a file of each kind."""
    write(tmp_path / "a.json", labelme())
    Image.new("L", (4, 4)).save(tmp_path / "b.png")
    with pytest.raises(ValueError, match=r"shapes in .*a\.json and pixels in .*b\.png"):
        read_masks(tmp_path)
    (tmp_path / "a.json").unlink()
    with pytest.raises(ValueError, match="background: expected files of shapes"):
        read_masks(tmp_path, background=0)


def test_a_file_of_many_images_needs_the_name_of_one(tmp_path):
    """read_mask returns one mask."""
    file = write(tmp_path / "a.xml", CVAT.format(""))
    with pytest.raises(ValueError, match=r"a\.xml: .*of one image, got those of 2"):
        read_mask(file)


def test_a_background_needs_a_number_of_its_own(tmp_path):
    """It would be merged with a class, without a word."""
    file = write(tmp_path / "a.json", coco([np.ravel(SQUARE).tolist()]))
    with pytest.raises(ValueError, match="background: .* that no class has.*'cat'"):
        read_masks(file, background=3)
