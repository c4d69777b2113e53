import numpy as np
import pytest

from sklearn_zoomout.images import as_float, check_images


@pytest.fixture
def image():
    return np.random.default_rng(0).integers(0, 256, (6, 8, 3), dtype=np.uint8)


def test_good_images_are_passed_on_without_a_copy(image):
    """Checking costs no memory."""
    checked = check_images([image, image / 255])
    assert checked[0] is image
    assert checked[1].dtype == np.float64


@pytest.mark.parametrize("dtype", [np.float64, np.float32, ">f8"])
def test_uint8_and_float_images_become_the_same_values(dtype):
    """All 256 gray values agree to the last bit."""
    ramp = np.arange(256, dtype=np.uint8).reshape(1, 256, 1).repeat(3, axis=2)
    floats = (ramp / np.array(255, dtype)).astype(dtype)
    np.testing.assert_array_equal(as_float(ramp), as_float(floats))
    assert as_float(floats).dtype == np.float32


def test_unusual_memory_layouts_are_read_and_left_alone(image):
    """Read-only, Fortran-ordered and strided images are fine."""
    frozen = image.copy(order="F")
    frozen.flags.writeable = False
    strided = np.repeat(image, 2, axis=1)[:, ::2]
    for layout in (frozen, strided):
        np.testing.assert_array_equal(as_float(layout), as_float(image))
        np.testing.assert_array_equal(layout, image)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda x: x[..., 0], r"images\[1\].*gray.*gray2rgb\(image\).*if it is a mask"),
        (lambda x: x[..., :1], r"images\[1\].*gray.*image\[\.\.\., 0\]"),
        (lambda x: np.dstack([x, x[..., :1]]), r"images\[1\].*RGBA.*:3"),
        (lambda x: x.transpose(2, 0, 1), r"images\[1\].*channels first.*moveaxis"),
        (lambda x: x[None], r"images\[1\].*RGB.*\(1, 6, 8, 3\)"),
        (lambda x: x[:, :, [0, 1]], r"images\[1\].*RGB.*\(6, 8, 2\)"),
        (lambda x: x[:0], r"images\[1\].*no pixels"),
        (lambda x: x.astype(float), r"images\[1\].*0\.\.1.*looks like 0\.\.255"),
        (lambda x: x / 255 - 0.5, r"images\[1\].*0\.\.1.*rescale"),
        (lambda x: np.full(x.shape, 1 + 1e-9), r"images\[1\].*0\.\.1.*000001.*clip"),
        (lambda x: np.ma.masked_equal(x, 0), r"images\[1\].*masked array.*filled"),
        (lambda x: x.astype(np.int64), r"images\[1\].*int64.*img_as_ubyte"),
        (lambda x: x.astype(np.int8), r"images\[1\].*int8"),
        (lambda x: x.astype(np.uint16), r"images\[1\].*uint16"),
        (lambda x: x > 9, r"images\[1\].*bool"),
        (lambda x: x.astype(object), r"images\[1\].*object"),
        (lambda x: None, r"images\[1\].*got None"),
        (lambda x: x.astype(complex), r"images\[1\].*complex128"),
    ],
)
def test_wrong_images_are_named_and_explained(image, change, message):
    """The error says which image, what came, and what to do."""
    with pytest.raises(ValueError, match=message):
        check_images([image, change(image)])


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_the_first_value_that_is_not_finite_is_located(image, value):
    """The error gives its row and column."""
    bad = image / 255
    bad[2, 5, 1] = value
    with pytest.raises(ValueError, match=r"images\[0\].*row 2, column 5"):
        check_images([bad])


def test_one_image_instead_of_a_list_is_refused(image):
    """A single array is not taken for a list of its rows."""
    with pytest.raises(TypeError, match=r"images: .*one array.*into a list"):
        check_images(image)
    with pytest.raises(TypeError, match="images: .*str"):
        check_images("photo.jpg")
    with pytest.raises(TypeError, match=r"images\[0\]: .*'a.jpg'.*read_photograph"):
        check_images(["a.jpg"])
    with pytest.raises(ValueError, match="images: .*empty"):
        check_images([])
