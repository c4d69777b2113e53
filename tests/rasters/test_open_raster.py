"""Windows of arrays and files equal the slices of the whole image."""

import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from PIL import Image

from sklearn_zoomout.rasters import _open, _reduce, open_raster

WINDOWS = [(0, 0, 60, 50), (0, 0, 1, 1), (7, 11, 40, 33), (59, 49, 60, 50)]


@pytest.fixture
def image():
    return np.random.default_rng(0).integers(1, 255, (60, 50, 4), dtype=np.uint8)


@pytest.fixture
def planes(image):
    """The same image with its channels first."""
    return np.ascontiguousarray(np.moveaxis(image, -1, 0))


@pytest.fixture
def write_tiff(tmp_path):
    """Give a function that writes bands with rasterio and returns the path."""
    rasterio = pytest.importorskip("rasterio")

    def write(planes, *, overviews=(), **profile):
        path = tmp_path / "a.tif"
        count, height, width = planes.shape
        options = {
            "crs": "EPSG:32633",
            "transform": rasterio.Affine(0.5, 0, 500_000, 0, -0.5, 5_000_000),
            "tiled": True,
            "blockxsize": 16,
            "blockysize": 16,
            "compress": "deflate",
            "photometric": "minisblack",
        }
        with rasterio.open(
            path,
            "w",
            driver="GTiff",
            height=height,
            width=width,
            count=count,
            dtype=planes.dtype,
            **(options | profile),
        ) as file:
            file.write(planes)
            if overviews:
                file.build_overviews(overviews, rasterio.enums.Resampling.average)
        return path

    return write


@pytest.fixture
def no_rasterio(monkeypatch):
    """Let files be opened as if rasterio were not installed."""
    pytest.importorskip("tifffile")

    def fail(path, page):
        raise ImportError("no rasterio")

    monkeypatch.setattr(_open, "open_with_rasterio", fail)


def check(raster, image, valid=None):
    """Compare windows with the slices of the whole image."""
    with raster:
        assert raster.shape == image.shape
        assert raster.dtype == image.dtype
        for top, left, bottom, right in WINDOWS:
            window = raster.read(top, left, bottom, right)
            np.testing.assert_array_equal(window, image[top:bottom, left:right])
            assert window.dtype == image.dtype
            assert window.flags.c_contiguous and window.flags.writeable
            got = raster.valid(top, left, bottom, right)
            if valid is None:
                assert got is None
            else:
                np.testing.assert_array_equal(got, valid[top:bottom, left:right])
        assert raster.has_nodata == (valid is not None)


def test_numpy(image):
    """Arrays of two and three dimensions, and a part of the channels."""
    check(open_raster(image), image)
    check(open_raster(image[..., 0]), image[..., :1])
    check(open_raster(image, channels=[2, 0]), image[..., [2, 0]])
    assert open_raster(image).georeference is None


def test_a_window_is_a_copy(image):
    """What is done with it does not change the image."""
    before = image.copy()
    open_raster(image).read(*WINDOWS[0])[:] = 0
    np.testing.assert_array_equal(image, before)


def test_channels_first(planes, image):
    """Only with the argument."""
    check(open_raster(planes, channel_axis=0), image)
    check(open_raster(planes, channel_axis=0, channels=[3]), image[..., 3:])
    with pytest.raises(ValueError, match=r"source: .*shortest axis last, got shape"):
        open_raster(planes)
    spectra = np.zeros((20, 30, 100), np.uint8)
    with pytest.raises(ValueError, match="pass channel_axis=0"):
        open_raster(spectra)
    assert open_raster(spectra, channel_axis=-1).shape == spectra.shape


def test_npy(image, tmp_path):
    """Files are mapped into memory."""
    path = tmp_path / "a.npy"
    np.save(path, image)
    check(open_raster(path), image)
    np.save(path, np.asfortranarray(image))
    check(open_raster(str(path)), image)
    path.write_bytes(b"")
    with pytest.raises(ValueError, match=r"a\.npy cannot be mapped"):
        open_raster(path)


@pytest.mark.parametrize("library", ["zarr", "dask.array", "h5py", "numpy.memmap"])
def test_other_arrays(image, planes, tmp_path, library):
    """Whatever is sliced like an array."""
    pytest.importorskip(library.removesuffix(".memmap"))
    if library == "zarr":
        import zarr

        array = zarr.create_array({}, data=image, chunks=(16, 16, 4))
        first = zarr.create_array({}, data=planes, chunks=(1, 16, 16))
    elif library == "dask.array":
        import dask.array

        array = dask.array.from_array(image, chunks=(16, 20, 4))
        first = dask.array.from_array(planes, chunks=(1, 20, 16))
    elif library == "h5py":
        import h5py

        with h5py.File(tmp_path / "a.h5", "w") as file:
            array = file.create_dataset("a", data=image, chunks=(16, 16, 4))
            check(open_raster(array, channels=[1, 3]), image[..., [1, 3]])
        return
    else:
        array = np.memmap(tmp_path / "a", np.uint8, "w+", shape=image.shape)
        array[:] = image
        first = planes
    check(open_raster(array), image)
    check(open_raster(first, channel_axis=0), image)
    reduced, _ = open_raster(first, channel_axis=0).read_reduced(6, 5)
    means = image.reshape(6, 10, 5, 10, 4).mean(axis=(1, 3))
    np.testing.assert_array_equal(reduced, np.rint(means))


def test_zarr_folders(image, tmp_path):
    """Groups are refused with the names of their arrays."""
    zarr = pytest.importorskip("zarr")
    group = zarr.open_group(tmp_path / "a.zarr", mode="w")
    options = {"shape": image.shape, "dtype": image.dtype, "chunks": (16, 16, 4)}
    group.create_array("pixels", **options)[:] = image
    check(open_raster(tmp_path / "a.zarr" / "pixels"), image)
    with pytest.raises(ValueError, match=r"a group with the arrays \['pixels'\]"):
        open_raster(tmp_path / "a.zarr")
    with pytest.raises(ValueError, match="got another folder"):
        open_raster(tmp_path)


@pytest.mark.parametrize("interleave", ["band", "pixel"])
def test_geotiff(write_tiff, planes, image, interleave):
    """Bands become channels, wherever they are in the file."""
    path = write_tiff(planes, interleave=interleave)
    check(open_raster(path), image)
    check(open_raster(path, channels=[3, 1]), image[..., [3, 1]])
    georeference = open_raster(path).georeference
    assert georeference.profile["crs"].to_epsg() == 32_633


@pytest.mark.parametrize("compress", ["deflate", None])
@pytest.mark.parametrize("interleave", ["band", "pixel"])
def test_geotiff_without_rasterio(
    write_tiff, planes, image, no_rasterio, interleave, compress
):
    """The same windows by tifffile."""
    if compress:
        pytest.importorskip("zarr")
    path = write_tiff(planes, interleave=interleave, compress=compress, nodata=0)
    check(open_raster(path), image, np.ones(image.shape[:2], bool))
    with open_raster(path) as raster:
        assert raster.nodata == 0
        assert raster.georeference.tags


def test_tiff_in_either_order_of_bytes(tmp_path, image):
    """Windows have the order of the machine."""
    tifffile = pytest.importorskip("tifffile")
    values = image.astype(np.uint16) * 200
    for order in "<>":
        tifffile.imwrite(tmp_path / "a.tif", values, photometric="rgb", byteorder=order)
        check(
            open_raster(tmp_path / "a.tif", channel_axis=-1, channels=[0, 1, 2]),
            values[..., :3],
            values[..., 3] > 0,
        )


def test_integers_have_no_data_where_all_channels_are_nodata(write_tiff, planes, image):
    """One channel of 0 is an ordinary color."""
    planes[:, 5:20, 7:15] = 0
    planes[1, 30:] = 0
    image = np.moveaxis(planes, 0, -1)
    valid = image.any(axis=2)
    assert valid.sum() == valid.size - 15 * 8
    check(open_raster(image, nodata=0), image, valid)
    raster = open_raster(write_tiff(planes, nodata=0))
    assert raster.nodata == 0
    check(raster, image, valid)


@pytest.mark.parametrize("nodata", [np.nan, -9999.0, np.finfo(np.float32).min])
def test_floats_have_no_data_where_any_channel_is_nodata(write_tiff, planes, nodata):
    """A missing measurement leaves nothing to compute from."""
    planes = planes.astype(np.float32)
    planes[2, 5:20, 7:15] = nodata
    planes[:, 40, 40] = np.nan
    image = np.moveaxis(planes, 0, -1)
    valid = np.ones(image.shape[:2], bool)
    valid[5:20, 7:15] = valid[40, 40] = False
    check(open_raster(image, nodata=nodata), image, valid)
    check(open_raster(write_tiff(planes, nodata=float(nodata))), image, valid)


def test_alpha_and_masks_tell_where_data_are(write_tiff, planes, image, tmp_path):
    """Neither is a channel."""
    rasterio = pytest.importorskip("rasterio")
    planes[3, 5:20, 7:15] = 0
    valid = planes[3] > 0
    path = write_tiff(planes, photometric="rgb", alpha="yes")
    check(open_raster(path), image[..., :3], valid)
    path = write_tiff(planes[:3])
    with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True), rasterio.open(path, "r+") as file:
        file.write_mask(valid)
    check(open_raster(path), image[..., :3], valid)
    values, reduced = open_raster(path).read_reduced(12, 10)
    assert values.shape == (12, 10, 3)
    assert not reduced[1:4, 2:3].any() and reduced[5:].all()


def test_palettes_become_colors(write_tiff, tmp_path, no_rasterio):
    """Positions in the palette would mean nothing to a model."""
    tifffile = pytest.importorskip("tifffile")
    colors = np.random.default_rng(0).integers(0, 256, (256, 3), dtype=np.uint16)
    index = np.random.default_rng(1).integers(0, 256, (60, 50), dtype=np.uint8)
    tifffile.imwrite(
        tmp_path / "a.tif", index, photometric="palette", colormap=colors.T * 257
    )
    check(open_raster(tmp_path / "a.tif"), colors[index].astype(np.uint8))


def test_palettes_become_colors_with_rasterio(write_tiff, planes):
    """What is not labeled by the palette's file has no data."""
    rasterio = pytest.importorskip("rasterio")
    index = planes[:1] % 3
    path = write_tiff(index, nodata=2)
    with rasterio.open(path, "r+") as file:
        file.write_colormap(1, {0: (1, 2, 3), 1: (40, 50, 60)})
    colors = np.array([[1, 2, 3], [40, 50, 60], [0, 0, 0]], np.uint8)
    check(open_raster(path), colors[index[0]], index[0] < 2)


def test_pages_must_be_chosen(tmp_path, image):
    """They may be other pictures, or channels."""
    pytest.importorskip("tifffile")
    pages = [Image.fromarray(image[..., i]) for i in range(4)]
    pages[0].save(tmp_path / "a.tif", save_all=True, append_images=pages[1:])
    with pytest.raises(ValueError, match=r"pass page=0, 1, .* or channel_axis=0"):
        open_raster(tmp_path / "a.tif")
    check(open_raster(tmp_path / "a.tif", page=2), image[..., 2:3])
    pytest.importorskip("zarr")
    check(open_raster(tmp_path / "a.tif", channel_axis=0), image)


def test_pages_that_the_file_calls_channels(tmp_path, image, planes):
    """ImageJ's metadata names the axes."""
    tifffile = pytest.importorskip("tifffile")
    tifffile.imwrite(tmp_path / "a.tif", planes, imagej=True, metadata={"axes": "CYX"})
    check(open_raster(tmp_path / "a.tif"), image)


@pytest.mark.parametrize("size", [(60, 50), (7, 11), (1, 1)])
def test_reduced_images_are_means_of_blocks(image, size, monkeypatch):
    """Also if they are summed over several windows."""
    monkeypatch.setattr("sklearn_zoomout.rasters._reduce._N_VALUES", 500)
    image[:20, :20] = 0
    rows = np.arange(60) * size[0] // 60
    columns = np.arange(50) * size[1] // 50
    values, valid = open_raster(image, nodata=0).read_reduced(*size)
    for i, j in np.ndindex(size):
        block = image[rows == i][:, columns == j].reshape(-1, 4)
        kept = block[block.any(axis=1)]
        assert valid[i, j] == (len(kept) > 0)
        mean = np.rint(kept.mean(axis=0)) if len(kept) else np.zeros(4)
        np.testing.assert_array_equal(values[i, j], mean)


@pytest.mark.parametrize(
    ("shape", "block", "most"),
    [
        ((100_000, 90_000, 3), None, 4_000_000),
        ((100_000, 90_000, 3), (256, 256), 4_000_000),
        ((100_000, 90_000, 3), (1, 90_000), 4_000_000),
        ((50_000, 50_000, 200), (512, 512), 512 * 512 * 200),
        ((20, 30, 1), (512, 512), 512 * 512),
    ],
)
def test_reduction_needs_little_memory(shape, block, most):
    """Windows are multiples of the blocks of the file, of bounded size."""
    height, width = _reduce._window_size(shape, block or (1, 1))
    assert 0 < height * width * shape[2] <= most
    if block:
        assert height % block[0] == 0 or height == shape[0]
        assert width % block[1] == 0 or width == shape[1]


def test_overviews_are_used(write_tiff, planes, image):
    """The file is not read as a whole."""
    raster = open_raster(write_tiff(planes, overviews=[2, 4]))
    raster._source.read = None
    values, valid = raster.read_reduced(15, 12)
    assert valid is None and values.dtype == np.uint8
    means = image[:, :48].reshape(15, 4, 12, 4, 4).mean(axis=(1, 3))
    assert np.abs(values.astype(float) - means).mean() < 20
    with pytest.raises(TypeError):
        raster.read_reduced(40, 30)


@pytest.mark.parametrize("rasterio", [True, False])
def test_threads_read_the_same(write_tiff, planes, image, rasterio, request):
    """Datasets of rasterio are not safe for threads by themselves."""
    if not rasterio:
        pytest.importorskip("zarr")
        request.getfixturevalue("no_rasterio")
    start = threading.Barrier(4)
    with open_raster(write_tiff(planes)) as raster, ThreadPoolExecutor(4) as pool:

        def read(seed):
            start.wait()
            rng = np.random.default_rng(seed)
            for top, left in rng.integers(0, 40, (30, 2)):
                window = raster.read(top, left, top + 10, left + 10)
                expected = image[top : top + 10, left : left + 10]
                np.testing.assert_array_equal(window, expected)

        list(pool.map(read, range(4)))


@pytest.mark.parametrize("window", [(0, 0, 0, 5), (-1, 0, 5, 5), (0, 0, 61, 5)])
def test_windows_lie_in_the_image(image, window):
    """Nothing is filled in beyond the border."""
    with pytest.raises(ValueError, match="window: expected 0 <= top < bottom <= 60"):
        open_raster(image).read(*window)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"channels": [4]}, r"channels: expected a list of positions in 0\.\.3"),
        ({"channels": []}, "channels: expected a list"),
        ({"nodata": -9999}, "nodata: expected a value of uint8, got -9999"),
        ({"nodata": np.nan}, "nodata: expected a value of uint8, got nan"),
        ({"channel_axis": 1}, "channel_axis: expected 0"),
        ({"page": 0}, "page: expected None for an array"),
    ],
)
def test_wrong_arguments_are_named(image, options, message):
    """The error says what is expected."""
    with pytest.raises(ValueError, match=message):
        open_raster(image, **options)


def test_what_is_no_image_is_refused(image, tmp_path):
    """The error names the item and the cure."""
    with pytest.raises(ValueError, match=r"got \(2, 60, 50, 4\); pass one image"):
        open_raster(np.stack([image, image]))
    with pytest.raises(TypeError, match="source: expected an array, or the path"):
        open_raster([[1]])
    with pytest.raises(ValueError, match="expected numbers, got dtype complex"):
        open_raster(image.astype(complex))
    with pytest.raises(ValueError, match="masked array"):
        open_raster(np.ma.masked_equal(image, 0))
    with pytest.raises(FileNotFoundError, match=r"none\.tif"):
        open_raster(tmp_path / "none.tif")
    Image.fromarray(image).save(tmp_path / "a.png")
    with pytest.raises(ValueError, match=r"open_raster\(datasets\.read_image"):
        open_raster(tmp_path / "a.png")
    (tmp_path / "bad.tif").write_bytes(b"II*\0")
    pytest.importorskip("tifffile")
    with pytest.raises(ValueError, match=r"bad\.tif cannot be read as TIFF"):
        open_raster(tmp_path / "bad.tif")


def test_a_missing_library_names_the_extra(tmp_path, image, monkeypatch):
    """The message can be pasted into a shell."""
    for name in ("rasterio", "tifffile", "zarr"):
        monkeypatch.setitem(__import__("sys").modules, name, None)
    Image.fromarray(image).save(tmp_path / "a.tif")
    with pytest.raises(ImportError, match=r'pip install "sklearn-zoomout\[rasters\]"'):
        open_raster(tmp_path / "a.tif")
    (tmp_path / "a.zarr").mkdir()
    (tmp_path / "a.zarr" / "zarr.json").touch()
    with pytest.raises(ImportError, match="reading zarr needs zarr"):
        open_raster(tmp_path / "a.zarr")


def test_a_raster_is_returned_as_it_is(image):
    """Its options cannot be changed."""
    raster = open_raster(image)
    assert open_raster(raster) is raster
    with pytest.raises(ValueError, match="got a Raster; pass them when"):
        open_raster(raster, nodata=0)
