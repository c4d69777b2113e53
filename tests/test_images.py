import numpy as np
import pytest
from PIL import Image

from sklearn_zoomout.images import as_float
from sklearn_zoomout.superpixels._reading import Reading


def check_images(images):
    """Pass images through the gate of the library."""
    return [read.image for read in Reading().read(images)]


@pytest.fixture
def image():
    return np.random.default_rng(0).integers(0, 256, (6, 8, 3), dtype=np.uint8)


def test_good_images_are_passed_on_without_a_copy(image):
    """Checking costs no memory."""
    checked = check_images([image, image / 255])
    assert checked[0] is image
    assert checked[1].dtype == np.float64


@pytest.mark.parametrize("index", [np.s_[..., 0], np.s_[..., :1]])
def test_gray_images_become_views_of_three_equal_channels(image, index):
    """They need no memory."""
    (gray,) = check_images([image[index]])
    np.testing.assert_array_equal(gray, np.dstack([image[..., 0]] * 3))
    assert np.shares_memory(gray, image)
    np.testing.assert_array_equal(as_float(gray), as_float(gray.copy()))


def test_tensors_are_read_as_arrays_are(image):
    """Those that numpy cannot read are refused with the cure."""
    torch = pytest.importorskip("torch")
    tensor = torch.from_numpy(image)
    np.testing.assert_array_equal(check_images([tensor])[0], image)
    with pytest.raises(ValueError, match=r"channels first; use image\.permute"):
        check_images([tensor.permute(2, 0, 1)])
    floats = (tensor / 255).requires_grad_()
    with pytest.raises(ValueError, match=r"images\[0\].*image\.detach\(\)"):
        check_images([floats])
    with pytest.raises(ValueError, match=r"images\[0\].*image\.float\(\)"):
        check_images([floats.detach().bfloat16()])
    with pytest.raises(TypeError, match=r"images: .*\(6, 8, 3\).*into a list"):
        check_images(tensor)


class Foreign:
    """An array of another library, such as zarr."""

    def __init__(self, values):
        self.values, self.shape, self.ndim = values, values.shape, values.ndim
        self.dtype = values.dtype

    def __array__(self, dtype=None, copy=None):
        return np.array(self.values, dtype)

    def __len__(self):
        return len(self.values)

    def __getitem__(self, key):
        return Foreign(self.values[key])


def test_arrays_of_other_libraries_are_read_as_those_of_numpy(image):
    """One image is no list of its rows, and several are no image."""
    np.testing.assert_array_equal(check_images([Foreign(image)])[0], image)
    assert len(check_images(Foreign(np.stack([image] * 4)))) == 4
    with pytest.raises(TypeError, match=r"images: .*\(6, 8, 3\).*into a list"):
        check_images(Foreign(image))
    with pytest.raises(ValueError, match=r"images\[0\].*\(4, 6, 8, 3\).*one by one"):
        check_images([Foreign(np.stack([image] * 4))])


def test_pictures_of_pillow_are_read_or_their_mode_is_named(image):
    """Indices of a palette, and four inks, are no colors."""
    picture = Image.fromarray(image)
    np.testing.assert_array_equal(check_images([picture])[0], image)
    for mode in ("P", "CMYK", "LA"):
        with pytest.raises(ValueError, match=rf"images\[0\].*'{mode}'.*convert\(\"RGB"):
            check_images([picture.convert(mode)])
    with pytest.raises(TypeError, match="images: .*Image.*into a list"):
        check_images(picture)


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
        (
            lambda x: np.dstack([x, x[..., :1]]),
            r'images\[1\].*RGBA.*:3.*"rgba".*infrared.*"bands"',
        ),
        (lambda x: x.transpose(2, 0, 1), r"images\[1\].*channels first.*moveaxis"),
        (lambda x: np.zeros((1, 60, 80)), r"images\[1\].*channels first.*image\[0\]"),
        (lambda x: np.zeros((5, 60, 80)), r"images\[1\].*channels first.*moveaxis"),
        (lambda x: x[None], r"images\[1\].*RGB.*\(1, 6, 8, 3\).*one by one"),
        (lambda x: (x, x[..., 0]), r"images\[1\].*a pair.*zip\(\*pairs\)"),
        (lambda x: x[:0], r"images\[1\].*no pixels"),
        (
            lambda x: x.astype(float),
            r"images\[1\].*0\.\.1.*looks like 0\.\.255.*value_range=\(0, 255\)",
        ),
        (lambda x: x / 255 - 0.5, r"images\[1\].*0\.\.1.*rescale"),
        (lambda x: np.full(x.shape, 1 + 1e-9), r"images\[1\].*0\.\.1.*000001.*clip"),
        (lambda x: np.ma.masked_equal(x, 0), r"images\[1\].*masked array.*filled"),
        (lambda x: x.astype(np.int64), r"images\[1\].*int64.*\(0, 255\).*8 bits"),
        (
            lambda x: x[..., 0].astype(int),
            r"images\[1\].*it is a mask.*images first",
        ),
        (lambda x: x.astype(np.int8), r"images\[1\].*int8"),
        (lambda x: 16 * x.astype(np.uint16), r"images\[1\].*\(0, 4095\).*12 bits"),
        (lambda x: 4 * x.astype(np.uint16), r"images\[1\].*\(0, 1023\).*10 bits"),
        (lambda x: 99 * x.astype(np.uint32), r"images\[1\].*\(0, 32767|65535\)"),
        (lambda x: 9e5 * x.astype(np.int32), r"images\[1\].*value_range=\(.*learn"),
        (
            lambda x: np.where(x == x[0, 0], -9999.0, x),
            r"images\[1\].*nodata=-9999\.0.*value_range=",
        ),
        (lambda x: x > 9, r"images\[1\].*bool.*images first.*astype"),
        (lambda x: x.astype(object), r"images\[1\].*object.*astype\(float\)"),
        (lambda x: None, r"images\[1\].*got None.*cv2\.imread"),
        (lambda x: x.astype(complex), r"images\[1\].*complex128.*numpy\.abs"),
        (lambda x: x[0, 0], r"images\[1\].*shape \(3,\)"),
    ],
)
def test_wrong_images_are_named_and_explained(image, change, message):
    """The error says which image, what came, and what to do."""
    with pytest.raises(ValueError, match=message):
        check_images([image, change(image)])


@pytest.mark.parametrize(
    ("value", "cure"),
    [(np.nan, r"nodata=float\(\"nan\"\)"), (np.inf, "replace"), (-np.inf, "replace")],
)
def test_the_first_value_that_is_not_finite_is_located(image, value, cure):
    """The error gives its row and column, and what to do."""
    bad = image / 255
    bad[2, 5, 1] = value
    with pytest.raises(ValueError, match=rf"images\[0\].*row 2, column 5; .*{cure}"):
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
