"""Results are written window by window, completely or not at all."""

import io
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from PIL import Image

from sklearn_zoomout.rasters import _tiff_output, create_output, open_raster

CLASSES = [0, 3, 7]
COLORS = [[255, 0, 0], [0, 255, 0], [0, 0, 255]]
NAMES = ["sky", "grass & moss", "<wall>"]


@pytest.fixture
def raster():
    """An image some of whose pixels may have no data."""
    return open_raster(np.zeros((60, 50, 3), np.uint8), nodata=255)


@pytest.fixture
def labels():
    return np.random.default_rng(0).choice([-1, *CLASSES], (60, 50))


@pytest.fixture
def probabilities(labels):
    values = np.random.default_rng(1).random((60, 50, 3), dtype=np.float32)
    values[labels < 0] = np.nan
    return values


@pytest.fixture(params=["rasterio", "tifffile"])
def library(request, monkeypatch):
    """Write TIFF files by one library or the other."""
    pytest.importorskip(request.param)
    if request.param == "tifffile":
        monkeypatch.setattr(_tiff_output, "find_spec", lambda name: None)
    return request.param


def fill(output, values):
    """Write all windows of 16 pixels, and return the result."""
    with output:
        for top in range(0, 60, 16):
            for left in range(0, 50, 16):
                output.write(top, left, values[top : top + 16, left : left + 16])
    return output.result


def stored(labels, unlabeled):
    """Labels with the value that stands for none."""
    return np.where(labels < 0, unlabeled, labels)


def test_labels_in_memory(raster, labels):
    """The smallest type, signed only if pixels may be without a label."""
    output = create_output(None, raster, classes=CLASSES)
    result = fill(output, labels)
    assert (result.dtype, output.unlabeled) == (np.int8, -1)
    np.testing.assert_array_equal(result, labels)
    complete = open_raster(np.zeros((60, 50, 3), np.uint8))
    result = fill(create_output(None, complete, classes=CLASSES), abs(labels) % 2 * 3)
    assert result.dtype == np.uint8
    with pytest.raises(ValueError, match="expected a label for every pixel, got -1"):
        fill(create_output(None, complete, classes=CLASSES), labels)


@pytest.mark.parametrize(
    ("highest", "unlabeled", "dtype"),
    [
        (127, -1, "i1"),
        (128, -1, "i2"),
        (255, 0, "u1"),
        (256, 0, "u2"),
        (70_000, -1, "i4"),
    ],
)
def test_arrays_in_memory_can_be_saved(raster, highest, unlabeled, dtype):
    """Pillow has no integers of 64 bits."""
    output = create_output(None, raster, classes=[1, highest], unlabeled=unlabeled)
    assert output.dtype == np.dtype(dtype)
    with output:
        output.write(0, 0, [[1, highest, -1]])
    assert output.result[0, :3].tolist() == [1, highest, unlabeled]
    Image.fromarray(output.result).save(io.BytesIO(), "TIFF")


def test_probabilities_in_memory(raster, probabilities):
    """The order of the classes is kept, and NaN means no data."""
    result = fill(
        create_output(None, raster, kind="probabilities", classes=CLASSES),
        probabilities.astype(float),
    )
    assert result.dtype == np.float32
    np.testing.assert_array_equal(result, probabilities)


@pytest.mark.parametrize("dtype", ["i1", "u1", "i8", "u2"])
def test_arrays_of_the_caller(raster, labels, tmp_path, dtype):
    """They are filled in place."""
    highest = np.iinfo(dtype).max
    for target in (
        np.empty((60, 50), dtype),
        np.memmap(tmp_path / "a", dtype, "w+", shape=(60, 50)),
    ):
        result = fill(create_output(target, raster, classes=CLASSES), labels)
        assert result is target
        unlabeled = -1 if dtype[0] == "i" else highest
        np.testing.assert_array_equal(target, stored(labels, unlabeled))


def test_a_zarr_array_of_the_caller(raster, labels):
    """Threads that share a chunk do not overwrite each other."""
    zarr = pytest.importorskip("zarr")
    target = zarr.create_array({}, shape=(60, 50), dtype="u1", chunks=(50, 50))
    start = threading.Barrier(4)
    with create_output(target, raster, classes=CLASSES) as output:

        def write(k):
            start.wait()
            for top in range(k, 60, 4):
                output.write(top, 0, labels[top : top + 1])

        with ThreadPoolExecutor(4) as pool:
            list(pool.map(write, range(4)))
    np.testing.assert_array_equal(target[:], stored(labels, 255))


@pytest.mark.parametrize(
    ("target", "kind", "message"),
    [
        (np.zeros((60, 51), "u1"), "labels", r"target: expected shape \(60, 50\)"),
        (np.zeros((60, 50), "f4"), "labels", "target: expected integers"),
        (np.zeros((60, 50), "u1"), "probabilities", "target: expected shape"),
        (np.zeros((60, 50, 3), "u1"), "probabilities", "expected floating point"),
        ("a.png", "labels", r"expected a path that ends with \.tif"),
        (np.broadcast_to(np.uint8(0), (60, 50)), "labels", "can be written"),
    ],
)
def test_targets_that_do_not_fit(raster, target, kind, message):
    """The error says what is expected."""
    with pytest.raises(ValueError, match=message):
        create_output(target, raster, kind=kind, classes=CLASSES)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"kind": "codes"}, "kind: expected one of"),
        ({"classes": []}, "classes: expected the integer labels"),
        ({"classes": [1, 1]}, "classes: expected distinct labels"),
        ({"classes": [-1, 1]}, "classes: expected labels in 0"),
        ({"names": ["a"]}, "names: expected 3 names"),
        ({"colors": [[0, 0, 0]]}, r"colors: expected RGB colors .*shape \(3, 3\)"),
        ({"unlabeled": 3}, "unlabeled: expected a value that is no class, got 3"),
        ({"unlabeled": 0.5}, "unlabeled: expected an integer"),
    ],
)
def test_wrong_arguments_are_named(raster, options, message):
    """The error says what is expected."""
    with pytest.raises(ValueError, match=message):
        create_output(None, raster, **({"classes": CLASSES} | options))
    with pytest.raises(TypeError, match="target: expected None, an array"):
        create_output(3, raster, classes=CLASSES)


def test_wrong_values_are_named(raster, labels):
    """Nothing is cut or wrapped around."""
    with create_output(None, raster, classes=CLASSES) as output:
        with pytest.raises(ValueError, match=r"labels of classes in 0\.\.7.*, got 8"):
            output.write(0, 0, [[8]])
        with pytest.raises(ValueError, match=r"values: expected labels, got dtype"):
            output.write(0, 0, [[0.5]])
        with pytest.raises(ValueError, match=r"values: expected shape"):
            output.write(0, 0, [0])
        with pytest.raises(ValueError, match=r"window: expected"):
            output.write(50, 0, labels)
    with pytest.raises(ValueError, match="got a closed one"):
        output.write(0, 0, labels)


def test_npy(raster, labels, probabilities, tmp_path):
    """Plain arrays of NumPy."""
    path = fill(create_output(tmp_path / "a.npy", raster, classes=CLASSES), labels)
    assert np.load(path).dtype == np.uint8
    np.testing.assert_array_equal(np.load(path), stored(labels, 255))
    output = create_output(str(path), raster, kind="probabilities", classes=CLASSES)
    np.testing.assert_array_equal(np.load(fill(output, probabilities)), probabilities)


def test_zarr_folder(raster, labels, tmp_path):
    """Attributes tell what the labels mean; an older folder is replaced."""
    zarr = pytest.importorskip("zarr")
    for shift in (0, 1):
        output = create_output(
            tmp_path / "a.zarr", raster, classes=CLASSES, names=NAMES, colors=COLORS
        )
        values = np.roll(labels, shift)
        array = zarr.open_array(fill(output, values), mode="r")
        np.testing.assert_array_equal(array[:], stored(values, 255))
    assert dict(array.attrs) == {
        "classes": CLASSES,
        "names": NAMES,
        "colors": COLORS,
        "unlabeled": 255,
    }
    assert [path.name for path in tmp_path.iterdir()] == ["a.zarr"]
    (tmp_path / "b.zarr").mkdir()
    with pytest.raises(ValueError, match="which holds something else"):
        create_output(tmp_path / "b.zarr", raster, classes=CLASSES)


def test_labels_in_tiff(raster, labels, tmp_path, library):
    """Labels, palette, names and the value of pixels without a label."""
    rasterio = pytest.importorskip("rasterio")
    output = create_output(
        tmp_path / "a.tif", raster, classes=CLASSES, colors=COLORS, names=NAMES
    )
    path = fill(output, labels)
    assert output.unlabeled == 255
    with Image.open(path) as picture:
        assert picture.mode == "P"
        np.testing.assert_array_equal(np.array(picture), stored(labels, 255))
    with _tiff_output.without_georeference_warning(), rasterio.open(path) as file:
        assert (file.nodata, file.dtypes, file.count) == (255, ("uint8",), 1)
        assert file.colormap(1)[3] == (0, 255, 0, 255)
        expected = {f"class_{k}": name for k, name in zip(CLASSES, NAMES, strict=True)}
        assert file.tags(1) == expected
        assert file.profile.get("compress") == (
            "deflate" if library == "rasterio" else None
        )
    with open_raster(path) as again:
        colors = again.read(0, 0, 60, 50)
        np.testing.assert_array_equal(again.valid(0, 0, 60, 50), labels >= 0)
    assert colors[labels == 7].tolist() == [COLORS[2]] * int((labels == 7).sum())


def test_probabilities_in_tiff(raster, probabilities, tmp_path, library):
    """One band per class, with its name."""
    rasterio = pytest.importorskip("rasterio")
    output = create_output(
        tmp_path / "a.tiff", raster, kind="probabilities", classes=CLASSES, names=NAMES
    )
    path = fill(output, probabilities)
    with _tiff_output.without_georeference_warning(), rasterio.open(path) as file:
        assert file.descriptions == tuple(NAMES)
        assert np.isnan(file.nodata)
        np.testing.assert_array_equal(np.moveaxis(file.read(), 0, -1), probabilities)


def test_large_labels_in_tiff(raster, tmp_path, library):
    """The type grows with the labels, and the palette with the type."""
    pytest.importorskip("rasterio")
    for highest, dtype in ((254, "uint8"), (255, "uint16"), (65_535, "uint32")):
        with create_output(tmp_path / "a.tif", raster, classes=[highest]) as output:
            assert output.dtype == np.dtype(dtype)
            output.write(0, 0, np.full((60, 50), highest))
        with open_raster(output.result) as again:
            assert (again.read(0, 0, 60, 50) == highest).all()
            assert again.nodata == np.iinfo(dtype).max
    with pytest.raises(ValueError, match="for the palette of"):
        create_output(tmp_path / "a.tif", raster, classes=[70_000], colors=[[0, 0, 0]])
    colors = [[10, 20, 30]]
    output = create_output(tmp_path / "a.tif", raster, classes=[300], colors=colors)
    with output:
        output.write(0, 0, np.full((60, 50), 300))
    with open_raster(output.result) as again:
        assert again.read(5, 5, 6, 6).tolist() == [[colors[0]]]


@pytest.mark.parametrize("read_by", ["rasterio", "tifffile"])
def test_the_result_lies_where_the_image_lies(
    labels, tmp_path, library, read_by, monkeypatch
):
    """Coordinate system and transform, by whatever reads and writes."""
    rasterio = pytest.importorskip("rasterio")
    if (read_by, library) == ("rasterio", "tifffile"):
        pytest.skip("what rasterio read is written by rasterio")
    transform = rasterio.Affine(0.5, 0, 500_000, 0, -0.5, 5_000_000)
    source = tmp_path / "image.tif"
    with rasterio.open(
        source, "w", driver="GTiff", width=50, height=60, count=1, dtype="uint8",
        crs="EPSG:32633", transform=transform,
    ) as file:  # fmt: skip
        file.write(np.zeros((1, 60, 50), np.uint8))
    if read_by == "tifffile":
        monkeypatch.setitem(__import__("sys").modules, "rasterio", None)
    with open_raster(source) as raster:
        assert bool(raster.georeference.tags) == (read_by == "tifffile")
        path = fill(create_output(tmp_path / "a.tif", raster, classes=CLASSES), labels)
    monkeypatch.undo()
    with rasterio.open(path) as file:
        assert file.crs.to_epsg() == 32_633
        assert file.transform == transform
        np.testing.assert_array_equal(file.read(1), stored(labels, 255))


@pytest.mark.parametrize("suffix", [".tif", ".npy", ".zarr"])
@pytest.mark.parametrize("older", [True, False])
def test_a_failure_leaves_what_was_there(raster, labels, tmp_path, suffix, older):
    """Nothing half-written stays behind, and an older file is intact."""
    if suffix == ".zarr":
        pytest.importorskip("zarr")
    elif suffix == ".tif":
        pytest.importorskip("rasterio")
    path = tmp_path / f"a{suffix}"
    if older:
        fill(create_output(path, raster, classes=CLASSES), labels)
    before = contents(tmp_path)
    with (
        pytest.raises(RuntimeError, match="in the middle"),
        create_output(path, raster, classes=CLASSES) as output,
    ):
        output.write(0, 0, np.zeros((16, 16), int))
        assert len(list(tmp_path.iterdir())) == 1 + older
        raise RuntimeError("in the middle")
    assert contents(tmp_path) == before
    fill(create_output(path, raster, classes=CLASSES), np.roll(labels, 1))
    assert contents(tmp_path) != before
    assert [item.name for item in tmp_path.iterdir()] == [path.name]


def contents(folder):
    """All files of a folder with their bytes."""
    return {p: p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def test_missing_libraries_name_the_extra(raster, tmp_path, monkeypatch):
    """The message can be pasted into a shell."""
    for name in ("rasterio", "tifffile", "zarr"):
        monkeypatch.setitem(__import__("sys").modules, name, None)
    monkeypatch.setattr(_tiff_output, "find_spec", lambda name: None)
    for suffix in (".tif", ".zarr"):
        with pytest.raises(ImportError, match=r"sklearn-zoomout\[rasters\]"):
            create_output(tmp_path / f"a{suffix}", raster, classes=CLASSES)
    assert not list(tmp_path.iterdir())
