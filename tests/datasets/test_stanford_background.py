"""The Stanford Background loader, on tiny archives and on the real one."""

import hashlib
import io
import os
import tarfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from sklearn_zoomout.datasets import _remote, fetch_stanford_background
from sklearn_zoomout.datasets._stanford_background import ARCHIVE, URL

SHAPES = {"0000047": (6, 8), "3000001": (5, 7), "9005294": (8, 6)}


def jpeg(shape, seed=0):
    """Return the bytes of a JPEG of one color."""
    color = np.random.default_rng(seed).integers(0, 256, 3)
    file = io.BytesIO()
    Image.fromarray(np.full((*shape, 3), color, np.uint8)).save(file, "JPEG")
    return file.getvalue()


def mask_of(stem):
    """Return the labels that the tiny archive holds for an image."""
    height, width = SHAPES[stem]
    return np.arange(height * width).reshape(height, width) % 9 - 1


def official_files():
    """Return the content of a tiny archive in the official layout."""
    files = {"README": b"tiny", "horizons.txt": b"0000047 8 6 2.5\n3000001 7 5 -1.0\n"}
    for i, (stem, shape) in enumerate(reversed(SHAPES.items())):
        lines = [" ".join(map(str, row)) + " \n" for row in mask_of(stem)]
        files[f"images/{stem}.jpg"] = jpeg(shape, i)
        files[f"labels/{stem}.regions.txt"] = "".join(lines).encode()
        files[f"labels/{stem}.layers.txt"] = b"not read"
    return files


@pytest.fixture
def write_archive(tmp_path):
    """Write an archive of these files and return the folder that holds it."""

    def write(files, prefix="iccv09Data/"):
        with tarfile.open(tmp_path / ARCHIVE, "w:gz") as tar:
            for name, content in files.items():
                member = tarfile.TarInfo(prefix + name)
                member.size = len(content)
                tar.addfile(member, io.BytesIO(content))
        return tmp_path

    return write


@pytest.fixture(autouse=True)
def no_network(monkeypatch):
    """Let every attempt to reach the network fail as it does offline."""

    def fail(url, timeout):
        raise OSError("no network in tests")

    monkeypatch.setattr(_remote.urllib.request, "urlopen", fail)


def serve(monkeypatch, content, declared=None):
    """Answer downloads with this content; return the list of asked addresses."""
    asked = []

    class Response(io.BytesIO):
        headers = {"Content-Length": str(declared or len(content))}

    def answer(url, timeout):
        asked.append(url)
        return Response(content)

    monkeypatch.setattr(_remote.urllib.request, "urlopen", answer)
    return asked


def test_reads_the_official_layout(write_archive):
    """Images, labels, names and horizons come sorted by name, unlabeled as -1."""
    home = write_archive(official_files())
    data = fetch_stanford_background(home)
    assert data.filenames == ["0000047.jpg", "3000001.jpg", "9005294.jpg"]
    assert [image.shape for image in data.images] == [(*s, 3) for s in SHAPES.values()]
    assert all(image.dtype == np.uint8 for image in data.images)
    assert all(image.flags.writeable for image in data.images)
    for stem, mask in zip(SHAPES, data.masks, strict=True):
        np.testing.assert_array_equal(mask, mask_of(stem))
        assert mask.dtype == np.int16
    assert len(data.class_names) == 8
    np.testing.assert_array_equal(data.horizons, [2.5, -1, np.nan])
    archive = (home / ARCHIVE).read_bytes()
    assert data.sha256 == hashlib.sha256(archive).hexdigest()


def test_every_negative_label_is_unlabeled(write_archive):
    """The data set's README calls any negative number unknown."""
    files = official_files()
    files["labels/3000001.regions.txt"] = b"-1 -2 0 1 2 3 -7\n" * 5
    masks = fetch_stanford_background(write_archive(files)).masks
    np.testing.assert_array_equal(masks[1][0], [-1, -1, 0, 1, 2, 3, -1])


def test_images_without_labels_are_named(write_archive):
    """The error counts the missing label files and names the first five."""
    files = official_files()
    for number in range(7):
        files[f"images/{number}.jpg"] = jpeg((2, 2))
    with pytest.raises(ValueError, match="7 of 10 images have no labels") as caught:
        fetch_stanford_background(write_archive(files))
    assert "labels/4.regions.txt" in str(caught.value)
    assert "labels/5.regions.txt" not in str(caught.value)


@pytest.mark.parametrize("name", ["../../escaped.jpg", "/etc/escaped.jpg"])
def test_path_that_leaves_the_folder_is_refused(write_archive, name):
    """An archive whose members point elsewhere is not the data set."""
    home = write_archive({name: jpeg((2, 2))}, prefix="")
    with pytest.raises(ValueError, match="escaped.jpg' leaves"):
        fetch_stanford_background(home)


@pytest.mark.parametrize("share", [0, 0.1, 0.5, 0.95])
def test_truncated_archive_is_an_error(write_archive, share):
    """An archive that ends too early is refused at any length."""
    home = write_archive(official_files())
    content = (home / ARCHIVE).read_bytes()
    (home / ARCHIVE).write_bytes(content[: int(share * len(content))])
    with pytest.raises(OSError, match="Delete it and download") as caught:
        fetch_stanford_background(home)
    assert str(home / ARCHIVE) in str(caught.value)


def test_html_page_in_place_of_the_archive_is_an_error(tmp_path):
    """A server's error page saved under the archive's name is recognized."""
    (tmp_path / ARCHIVE).write_bytes(b"<html>404</html>")
    with pytest.raises(OSError, match="no .tar.gz archive"):
        fetch_stanford_background(tmp_path)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("labels/3000001.regions.txt", b"", "regions.txt is empty"),
        ("labels/3000001.regions.txt", b"<html>", "not a matrix of integers"),
        ("labels/3000001.regions.txt", b"0 1\n2\n", "not a matrix of integers"),
        ("labels/3000001.regions.txt", b"0 8\n", "labels below 8, got 8"),
        ("images/3000001.jpg", jpeg((9, 9)), r"\(9, 9\) pixels, but its labels have"),
        ("images/3000001.jpg", jpeg((5, 7))[:200], "images/3000001.jpg"),
        ("images/3000001.jpg", b"GIF89a", "images/3000001.jpg"),
    ],
)
def test_damaged_member_is_named(write_archive, name, content, message):
    """Labels or an image that cannot be right are an error that names them."""
    home = write_archive(official_files() | {name: content})
    with pytest.raises(ValueError, match=message) as caught:
        fetch_stanford_background(home)
    assert "3000001" in str(caught.value)


def test_archive_without_images_is_an_error(write_archive):
    """Some other archive under the data set's name is recognized."""
    with pytest.raises(ValueError, match="expected images in iccv09Data/images/"):
        fetch_stanford_background(write_archive({"README": b"other"}))


def test_missing_archive_is_not_downloaded_against_the_wish(tmp_path, monkeypatch):
    """The error of an absent archive names its address and its place."""
    asked = serve(monkeypatch, b"")
    with pytest.raises(OSError, match="is missing") as caught:
        fetch_stanford_background(tmp_path, download_if_missing=False)
    assert URL in str(caught.value)
    assert str(tmp_path / ARCHIVE) in str(caught.value)
    assert asked == []


def test_offline_error_says_where_to_put_the_archive(tmp_path):
    """Without a network the error names address, place and variable."""
    with pytest.raises(OSError, match="no network in tests") as caught:
        fetch_stanford_background(tmp_path)
    for part in (URL, str(tmp_path / ARCHIVE), "SKLEARN_ZOOMOUT_DATA"):
        assert part in str(caught.value)


def test_downloads_once(write_archive, tmp_path, monkeypatch):
    """The second call reads the file that the first one brought."""
    content = (write_archive(official_files()) / ARCHIVE).read_bytes()
    asked = serve(monkeypatch, content)
    home = tmp_path / "new" / "folder"
    for _ in range(2):
        assert len(fetch_stanford_background(home).images) == 3
    assert asked == [URL]
    assert os.listdir(home) == [ARCHIVE]


def test_broken_transfer_leaves_nothing(tmp_path, monkeypatch):
    """A transfer that ends early is an error and no file is left behind."""
    serve(monkeypatch, b"half", declared=8)
    with pytest.raises(OSError, match="4 of 8 bytes"):
        fetch_stanford_background(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_interrupted_transfer_leaves_nothing(tmp_path, monkeypatch):
    """Ctrl-C during the download is passed on and no file is left behind."""

    class Interrupted(io.BytesIO):
        headers: dict[str, str] = {}

        def read(self, size=-1):
            raise KeyboardInterrupt

    monkeypatch.setattr(
        _remote.urllib.request, "urlopen", lambda url, timeout: Interrupted()
    )
    with pytest.raises(KeyboardInterrupt):
        fetch_stanford_background(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_writes_nothing_beside_a_present_archive(write_archive):
    """A folder that may only be read is enough."""
    home = write_archive(official_files())
    home.chmod(0o500)
    try:
        assert len(fetch_stanford_background(home).images) == 3
    finally:
        home.chmod(0o700)
    assert os.listdir(home) == [ARCHIVE]


def test_home_comes_from_the_environment(write_archive, tmp_path, monkeypatch):
    """SKLEARN_ZOOMOUT_DATA names the folder; an argument goes first."""
    monkeypatch.setenv("SKLEARN_ZOOMOUT_DATA", str(write_archive(official_files())))
    assert len(fetch_stanford_background().images) == 3
    with pytest.raises(OSError, match="is missing"):
        fetch_stanford_background(tmp_path / "other", download_if_missing=False)


def test_home_is_by_default_in_that_of_scikit_learn(tmp_path, monkeypatch):
    """Without the variable the folder lies in scikit-learn's data home."""
    monkeypatch.delenv("SKLEARN_ZOOMOUT_DATA", raising=False)
    monkeypatch.setenv("SCIKIT_LEARN_DATA", str(tmp_path))
    assert _remote.find_data_home() == tmp_path / "zoomout"


@pytest.mark.parametrize(
    "wrong", [{"data_home": 3}, {"download_if_missing": "no"}, {"verbose": -1}]
)
def test_wrong_argument_is_named(wrong):
    """An argument of the wrong kind is refused before anything is read."""
    with pytest.raises((ValueError, TypeError), match=next(iter(wrong))):
        fetch_stanford_background(**wrong)


def test_real_archive():
    """The real data set has 715 images and the published eight classes."""
    home = os.environ.get("SKLEARN_ZOOMOUT_DATA")
    if not home or not (Path(home) / ARCHIVE).exists():
        pytest.skip(f"SKLEARN_ZOOMOUT_DATA names no folder with {ARCHIVE}")
    data = fetch_stanford_background()
    assert len(data.images) == len(data.masks) == len(data.filenames) == 715
    assert data.filenames[0] == "0000047.jpg"
    assert data.images[0].shape == (240, 320, 3)
    assert data.horizons[0] == pytest.approx(100.650376)
    counts = sum(np.bincount(mask.ravel() + 1, minlength=9) for mask in data.masks)
    # sky, tree, road, grass, water, building, mountain, foreground object
    expected = [0.145, 0.141, 0.226, 0.069, 0.040, 0.227, 0.013, 0.137]
    np.testing.assert_allclose(counts[1:] / counts[1:].sum(), expected, atol=6e-4)
