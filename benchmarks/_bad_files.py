"""Trials of files that are damaged, foreign or an attack."""

import hashlib
import io
import json
import os
import pickle
import tarfile
import zlib

import cv2
import numpy as np
from _trials import Workbench, color_pipeline, trial

from sklearn_zoomout import (
    Backbone,
    ConvnetSuperpixelFeatures,
    SuperpixelSegmenter,
    load_model,
    save_model,
)
from sklearn_zoomout.datasets import (
    fetch_stanford_background,
    read_image,
    read_photograph,
)


class Attack:
    """Creates a folder when it is unpickled."""

    def __init__(self, victim):
        self.victim = victim

    def __reduce__(self):
        return os.mkdir, (str(self.victim),)


def jpeg(image, **options):
    """Return the bytes of a JPEG file."""
    from PIL import Image

    file = io.BytesIO()
    Image.fromarray(image).save(file, "JPEG", **options)
    return file.getvalue()


def chunk(kind, content):
    """Return a chunk of a PNG file, with its checksum."""
    checksum = zlib.crc32(kind + content).to_bytes(4, "big")
    return len(content).to_bytes(4, "big") + kind + content + checksum


def bomb(width, height):
    """Return a small PNG file that decodes to many pixels."""
    size = width.to_bytes(4, "big") + height.to_bytes(4, "big")
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", size + bytes([8, 0, 0, 0, 0]))
        + chunk(b"IDAT", zlib.compress(bytes(10**7), 9))
        + chunk(b"IEND", b"")
    )


def refuses_file(bench, path, *words):
    """Check that a picture is refused by both readers, and named."""
    for read in (read_image, read_photograph):
        bench.fails(lambda read=read: read(path), str(path), *words)


def archive(bench, files):
    """Write the archive of Stanford Background with these members."""
    with tarfile.open(bench.folder / "iccv09Data.tar.gz", "w:gz") as tar:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return bench.folder


def weights(bench, change=None):
    """Write random weights of a network of torchvision, and return their path."""
    import torch
    import torchvision
    from safetensors.torch import save_file

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        state = torchvision.models.squeezenet1_1(weights=None).state_dict()
    state = {key: tensor.contiguous() for key, tensor in state.items()}
    if change:
        change(state)
    path = bench.folder / "weights.safetensors"
    save_file(state, path)
    return path


def describe(bench, name, path=None):
    """Describe images by a network."""
    level = ConvnetSuperpixelFeatures(Backbone(name, path or "default"), input_size=64)
    return level.fit_transform(SuperpixelSegmenter(4).transform(bench.images[:1]))


def model_file(bench):
    """Save the fitted pipeline, and return the path and the bytes of the file."""
    path = bench.folder / "model.zoomout"
    save_model(bench.fitted, path)
    return path, path.read_bytes()


def forged(content, change):
    """Return the file with another manifest; all of its checksums are right."""
    length = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + length])
    metadata = header["__metadata__"]
    manifest = change(metadata["manifest"])
    digest = hashlib.sha256(manifest.encode()).hexdigest()
    metadata |= {"manifest": manifest, "manifest_sha256": digest}
    text = json.dumps(header, separators=(",", ":")).encode()
    body = len(text).to_bytes(8, "little") + text + content[8 + length : -32]
    return body + hashlib.sha256(body).digest()


@trial(34, "Empty file, HTML or text named .jpg", "Error with the path")
def no_picture(bench: Workbench) -> None:
    for content in (b"", b"<html></html>", b"hello"):
        path = bench.written("a.jpg", content)
        refuses_file(bench, path, "cannot be read")


@trial(35, "Truncated JPEG", "Error with the path; nothing is filled in")
def truncated(bench: Workbench) -> None:
    path = bench.written("a.jpg", jpeg(bench.images[0])[:-200])
    refuses_file(bench, path, "cannot be read")


@trial(36, "Small file of hundreds of megapixels", "Error before it is decoded")
def pixel_bomb(bench: Workbench) -> None:
    for size in ((20_000, 20_000), (170_000_000, 1), (15_000, 12_000)):
        path = bench.written("a.png", bomb(*size))
        refuses_file(bench, path, "pixels")


@trial(
    37,
    "Animated, CMYK, 16-bit or palette picture",
    "`read_image`: converted, 16 bits kept, a frame must be chosen",
)
def kinds(bench: Workbench) -> None:
    from PIL import Image

    image = bench.images[0]
    others = [Image.fromarray(255 - image)]
    path = bench.saved("a.gif", image, save_all=True, append_images=others)
    bench.fails(lambda: read_image(path), str(path), "2 frames", "page=0")
    deep = image.astype(np.uint16) * 257
    path = bench.folder / "deep.png"
    cv2.imwrite(str(path), deep[..., ::-1])
    bench.same(read_image(path), deep, "16 bits are kept")
    bench.fails(lambda: read_photograph(path), str(path), "got 16", "read_image")
    cmyk = bench.folder / "cmyk.jpg"
    Image.fromarray(image).convert("CMYK").save(cmyk)
    bench.holds(read_image(cmyk).shape == image.shape, "CMYK becomes RGB")
    palette = bench.folder / "palette.png"
    indexed = Image.fromarray(image).convert("P")
    indexed.save(palette)
    bench.same(read_image(palette), np.array(indexed.convert("RGB")), "palette as RGB")


@trial(38, "Photograph turned by EXIF", "Works: it is upright, in all 8 orientations")
def turned(bench: Workbench) -> None:
    from PIL import Image, ImageOps

    for orientation in range(1, 9):
        exif = Image.Exif()
        exif[0x0112] = orientation
        path = bench.saved("a.png", bench.images[0], exif=exif)
        with Image.open(path) as picture:
            upright = np.array(ImageOps.exif_transpose(picture))
        for read in (read_image, read_photograph):
            bench.same(read(path), upright, "upright")


@trial(39, "Truncated, altered or foreign weights", "Error: digest, or tensors")
def bad_weights(bench: Workbench) -> None:
    path = weights(bench)
    bench.fails(lambda: describe(bench, "resnet18", path), "missing", "unexpected")
    path.write_bytes(path.read_bytes()[:-1000])
    bench.fails(lambda: describe(bench, "squeezenet1_1", path), str(path), "sha256")


@trial(40, "Weights that hold NaN", "Error: names the tensor")
def nan_weights(bench: Workbench) -> None:
    key = "features.3.squeeze.weight"

    def change(state):
        state[key] = state[key].clone()
        state[key][1, 2] = float("nan")

    path = weights(bench, change)
    bench.fails(lambda: describe(bench, "squeezenet1_1", path), "NaN", key)


@trial(41, "No weights and no connection", "Error: address, place and digest")
def offline(bench: Workbench) -> None:
    import torch

    def fail(*args, **kwargs):
        raise OSError("no network")

    with (
        bench.changed(torch.hub, "get_dir", lambda: str(bench.folder)),
        bench.changed(torch.hub, "download_url_to_file", fail),
        bench.changed(os, "environ", {**os.environ, "SKLEARN_ZOOMOUT_WEIGHTS": ""}),
    ):
        bench.fails(
            lambda: describe(bench, "squeezenet1_1"),
            *("https://", str(bench.folder), "b8a52dc0"),
            kind=OSError,
        )


@trial(42, "Archive with paths or links that leave it", "Error: names the member")
def leaving(bench: Workbench) -> None:
    for name in ("../../escaped.jpg", "/etc/escaped.jpg"):
        home = archive(bench, {name: jpeg(bench.images[0])})
        bench.fails(
            lambda home=home: fetch_stanford_background(home), "escaped.jpg", "leaves"
        )


@trial(43, "Data set with missing masks", "Error: counts them, lists the first five")
def missing_masks(bench: Workbench) -> None:
    files = {f"iccv09Data/images/{i}.jpg": jpeg(bench.images[0]) for i in range(7)}
    home = archive(bench, files)
    bench.fails(
        lambda: fetch_stanford_background(home), "7 of 7 images", "labels/4.regions.txt"
    )


@trial(44, "A pickle in place of a model", "Error; it is not run")
def pickled(bench: Workbench) -> None:
    victim = bench.folder / "victim"
    path = bench.written("model.zoomout", pickle.dumps(Attack(victim)))
    bench.fails(lambda: load_model(path), str(path), "got a pickle")
    bench.holds(not victim.exists(), "the pickle was not run")


@trial(45, "A path in a model file that leaves it", "Error; no path is opened")
def paths_in_models(bench: Workbench) -> None:
    path, content = model_file(bench)

    def change(manifest):
        return manifest.replace('"array_0"', '"../array_0"', 1)

    length = int.from_bytes(content[:8], "little")
    header = change(content[8 : 8 + length].decode()).encode()
    body = len(header).to_bytes(8, "little") + header + content[8 + length : -32]
    path.write_bytes(body + hashlib.sha256(body).digest())
    bench.fails(lambda: load_model(path), str(path), "expected a header with")


@trial(46, "An unknown class in a model file", "Error; nothing is imported")
def unknown_class(bench: Workbench) -> None:
    path, content = model_file(bench)
    name = '"sklearn_zoomout.classifier.ZoomoutClassifier"'
    path.write_bytes(forged(content, lambda text: text.replace(name, '"os.system"')))
    bench.fails(lambda: load_model(path), str(path), "os.system", "trust")


@trial(47, "A model that declares 1e12 numbers", "Error before memory is taken")
def declared(bench: Workbench) -> None:
    path, content = model_file(bench)
    large = '"shape": [1000000000000, '
    path.write_bytes(forged(content, lambda x: x.replace('"shape": [', large, 1)))
    bench.fails(lambda: load_model(path), str(path), "expected")


@trial(48, "Arrays of objects in a model", "Error")
def objects(bench: Workbench) -> None:
    path, content = model_file(bench)
    name = '"dtype": "<f8"'
    path.write_bytes(forged(content, lambda x: x.replace(name, '"dtype": "|O"', 1)))
    bench.fails(lambda: load_model(path), str(path), "expected a dtype of numbers")


@trial(49, "A model of a newer format", "Error: says to install a newer version")
def newer(bench: Workbench) -> None:
    path, content = model_file(bench)
    length = int.from_bytes(content[:8], "little")
    header = content[8 : 8 + length].replace(b'_model":"1"', b'_model":"2"', 1)
    body = content[:8] + header + content[8 + length : -32]
    path.write_bytes(body + hashlib.sha256(body).digest())
    bench.fails(lambda: load_model(path), str(path), "newer format 2; install")


@trial(68, "Transparent picture", "Error: says how to choose by `alpha=`")
def transparent(bench: Workbench) -> None:
    image = bench.images[0]
    path = bench.saved("a.png", np.dstack([image, image[..., 0]]))
    bench.fails(lambda: read_image(path), str(path), "alpha=")
    bench.same(read_image(path, alpha="drop"), image, 'alpha="drop" ignores it')


@trial(72, "Picture above Pillow's limit", "Error: says how to raise it")
def limit(bench: Workbench) -> None:
    from PIL import Image

    path = bench.saved("a.png", bench.images[0])
    with bench.changed(Image, "MAX_IMAGE_PIXELS", 5):
        refuses_file(bench, path, "MAX_IMAGE_PIXELS")


@trial(81, "Damaged features in files", "Error: names the file; no wrong feature")
def damaged_table(bench: Workbench) -> None:
    from sklearn_zoomout import open_features, store_features

    folder = bench.folder / "features"
    steps = color_pipeline()
    steps.fit(bench.images, bench.masks)
    store_features(steps[:-1], bench.images, folder)
    largest = max(folder.rglob("*"), key=lambda p: p.is_file() and p.stat().st_size)
    content = bytearray(largest.read_bytes())
    content[len(content) // 2] ^= 1
    largest.write_bytes(content)
    bench.fails(lambda: steps[-1].predict(open_features(folder)), largest.name)
