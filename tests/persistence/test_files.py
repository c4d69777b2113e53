"""Damaged, foreign and forged files are refused before anything is built of them."""

import hashlib
import io
import json
import os
import pickle
import re
import zipfile

import numpy as np
import pytest
from safetensors import safe_open
from safetensors.numpy import load_file
from sklearn.preprocessing import StandardScaler

from sklearn_zoomout import load_model, model_info, save_model
from sklearn_zoomout.persistence._container import (
    read_array,
    read_header,
    write_container,
)

PCA = "sklearn.decomposition.PCA"


def forge(content, change):
    """Return a file whose manifest is another, with right digests."""
    file = io.BytesIO(content)
    header = read_header(file)
    arrays = [read_array(file, header, i) for i in range(len(header.arrays))]
    forged = io.BytesIO()
    write_container(forged, change(header.manifest) or header.manifest, arrays)
    return forged.getvalue()


def sign(content, change):
    """Return a file whose header is another, with a right digest of the file."""
    length = int.from_bytes(content[:8], "little")
    header = change(content[8 : 8 + length].decode()).encode()
    body = len(header).to_bytes(8, "little") + header + content[8 + length : -32]
    return body + hashlib.sha256(body).digest()


def change_manifest(content, change):
    """Return a file whose manifest is another text, with right digests."""

    def change_header(text):
        header = json.loads(text)
        metadata = header["__metadata__"]
        manifest = change(metadata["manifest"])
        digest = hashlib.sha256(manifest.encode()).hexdigest()
        metadata |= {"manifest": manifest, "manifest_sha256": digest}
        return json.dumps(header, separators=(",", ":"))

    return sign(content, change_header)


def refuse(path, content, match, error=ValueError):
    """Check that both readers refuse a file, by an error that names it."""
    path.write_bytes(content)
    with pytest.raises(error, match=match) as caught:
        load_model(path)
    assert str(path) in str(caught.value)


class TestDamage:
    """No byte can change unnoticed."""

    def test_flips(self, path, content):
        """One bit of 300 bytes: of the length, the header, the arrays and the end."""
        rng = np.random.default_rng(0)
        places = [*range(8), *range(len(content) - 32, len(content))]
        places += rng.choice(len(content), 300, replace=False).tolist()
        for place in places:
            damaged = bytearray(content)
            damaged[place] ^= 1 << int(rng.integers(8))
            path.write_bytes(damaged)
            for read in (load_model, model_info):
                with pytest.raises(ValueError, match=str(path)):
                    read(path)

    @pytest.mark.parametrize("left", [0, 1, 7, 8, 50, 1000, -33, -32, -1])
    def test_truncation(self, path, content, left):
        """Nothing of an incomplete file is used."""
        refuse(path, content[:left], "model")

    def test_more_bytes(self, path, content):
        """Neither at the end, nor in front."""
        refuse(path, content + b"\0", "damaged or incomplete")
        refuse(path, b"\0" + content, "expected a model that save_model wrote")

    def test_array_with_another_digest(self, path, content):
        """Each array has a digest of its own."""

        def change(text):
            manifest = json.loads(text)
            manifest["arrays"][0]["sha256"] = "0" * 64
            return json.dumps(manifest)

        refuse(path, change_manifest(content, change), "array 0 has another SHA-256")

    def test_manifest_with_another_digest(self, path, content):
        """The manifest has one too."""
        changed = sign(
            content, lambda text: text.replace("n_segments=40", "n_segments=41")
        )
        refuse(path, changed, "the manifest has another SHA-256")


class TestForeignFiles:
    """Files of other programs."""

    def test_pickle(self, path, tmp_path):
        """A pickle that is called a model is not run."""
        target = tmp_path / "touched"
        content = pickle.dumps(Touch(target))
        refuse(path, content, "got a pickle, which is not opened")
        assert not target.exists()

    def test_others(self, path, tmp_path):
        """The error tells what it may be."""
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w") as file:
            file.writestr("data.pkl", pickle.dumps(1))
        refuse(path, buffer.getvalue(), "got a zip file")
        np.save(tmp_path / "a.npy", np.zeros(3))
        refuse(path, (tmp_path / "a.npy").read_bytes(), "got a .npy file")
        refuse(path, b"hello world" * 9, "got something else")
        refuse(path, b'\x10\0\0\0\0\0\0\0{"__metadata__":{}}', "got something else")

    def test_safetensors_reads_the_file(self, path):
        """The arrays and the JSON are open to other programs."""
        arrays = load_file(path)
        assert arrays.pop("sha256").tobytes() == path.read_bytes()[-32:]
        with safe_open(path, "numpy") as file:
            manifest = json.loads(file.metadata()["manifest"])
        assert len(manifest["arrays"]) == len(arrays)
        assert manifest["card"]["class_name"] == "Pipeline"

    @pytest.mark.parametrize("read", [load_model, model_info])
    def test_missing_file(self, read, tmp_path):
        """Or folder, or a folder in place of a file."""
        for path in (tmp_path / "none", tmp_path / "none" / "none"):
            with pytest.raises(FileNotFoundError, match="none"):
                read(str(path))
        with pytest.raises(IsADirectoryError, match="expected a file .* got a folder"):
            read(tmp_path)

    @pytest.mark.parametrize("read", [load_model, model_info])
    def test_pipe(self, read, tmp_path):
        """A read would wait forever."""
        os.mkfifo(tmp_path / "pipe")
        with pytest.raises(ValueError, match="pipe: expected a regular file"):
            read(tmp_path / "pipe")


class TestForgedHeaders:
    """Files with right digests whose header does not fit."""

    @pytest.mark.parametrize(
        ("old", "new", "match"),
        [
            ('"order": "C"', '"order": "K"', "expected order C or F"),
            ('"shape": [', '"shape": [1000000000000, ', "expected .* of 'array_"),
            ('"shape": [', '"shape": [-1, ', "expected the shape"),
            ('"shape": [', '"shape": [true, ', "expected the shape"),
            ('"dtype": "<f8"', '"dtype": "|O"', "expected a dtype of numbers"),
            ('"dtype": "<f8"', '"dtype": "<U0"', "expected a dtype of numbers"),
            ('"dtype": "<f8"', '"dtype": [["a", "|O"]]', "expected a dtype of numbers"),
            ('"dtype": "<f8"', '"dtype": "os.system"', "expected a dtype of numbers"),
            ('"dtype": "<f8"', '"dtype": "<f4"', "expected .* of 'array_"),
            ('"versions":', '"extra": 1, "versions":', "expected a manifest with"),
            ('"versions":', '"card": 1, "versions":', "expected every name once"),
            ('"order": "C"', '"order": "C", "x": 1', "expected an array with"),
            ('"max_epochs", 2', '"max_epochs", NaN', "expected finite numbers"),
            ('{"versions":', "{" + "[" * 10**5, "expected JSON in the manifest"),
        ],
    )
    def test_manifest(self, path, content, old, new, match):
        """Sizes and types are checked before memory is taken."""

        def change(text):
            assert old in text
            return text.replace(old, new, 1)

        refuse(path, change_manifest(content, change), match)

    @pytest.mark.parametrize(
        ("old", "new", "match"),
        [
            ('"array_0":', '"../array_0":', "expected a header with"),
            ('"array_0":', '"array_1":', "expected every name once"),
            ('"array_0":', '"x":{},"array_0":', "expected a header with"),
            ('"data_offsets":[0,', '"data_offsets":[8,', "data_offsets"),
            ('"F32"', '"F16"', "of 'array_"),
            ('"manifest":', '"x":5,"manifest":', "expected metadata of strings"),
            ('"manifest_sha256"', '"other"', "expected the metadata with"),
            ("_model\":\"1\"", "_model\":\"2\"", "got the newer format 2; install"),
            ("_model\":\"1\"", "_model\":\"x\"", "expected format 1, got 'x'"),
            ("_model\":\"1\"", "_model\":1", "expected a model"),
        ],
    )  # fmt: skip
    def test_header(self, path, content, old, new, match):
        """Names, places and types of arrays are those of the manifest."""
        refuse(path, sign(content, lambda text: text.replace(old, new, 1)), match)

    @pytest.mark.parametrize("name", ["dtype", "shape", "order"])
    def test_nested_lists(self, path, content, name):
        """Newer versions of Python read lists that they cannot follow or print."""

        def change(text):
            nested = '[["a", ' * 2000 + "1" + "]]" * 2000
            pattern = rf'"{name}": (".*?"|\[.*?\])'
            return re.sub(pattern, f'"{name}": {nested}', text, count=1)

        refuse(path, change_manifest(content, change), "expected")

    def test_length_of_the_header(self, path, content):
        """It cannot be longer than the file."""
        body = (10**15).to_bytes(8, "little") + content[8:-32]
        forged = body + hashlib.sha256(body).digest()
        refuse(path, forged, "expected a header within the file")

    def test_bytes_after_the_arrays(self, path, content):
        """The arrays fill the file."""
        body = content[:-32] + b"more"
        forged = body + hashlib.sha256(body).digest()
        refuse(path, forged, "expected [0-9]+ bytes after the header, got [0-9]+")

    def test_file_that_shrinks(self, content):
        """While it is read."""

        class Shrinking(io.BytesIO):
            def seek(self, offset, whence=0):
                return super().seek(offset, whence) + (9 if whence == 2 else 0)

        with pytest.raises(ValueError, match="damaged or incomplete"):
            read_header(Shrinking(content))

    def test_booleans(self):
        """They are 0 or 1; compiled code may do anything with others."""
        file = io.BytesIO()
        write_container(file, {}, [np.array([0, 2], np.uint8).view(bool)])
        header = read_header(file)
        with pytest.raises(ValueError, match="array 0 has booleans other than 0 and 1"):
            read_array(file, header, 0)

    @pytest.mark.parametrize("versions", [[], {}, "1", {"sklearn_zoomout": 1}])
    def test_versions(self, path, content, versions):
        """They are text by name, and the library's is there."""
        changed = forge(content, lambda manifest: manifest | {"versions": versions})
        refuse(path, changed, "expected versions as text")

    @pytest.mark.parametrize(
        "change",
        [
            {"class_name": 5},
            {"notes": None},
            {"networks": []},
            {"scores": 1},
            {"n_images": "4"},
        ],
    )
    def test_card(self, path, content, change):
        """It is read without the model."""

        def edit(manifest):
            manifest["card"] |= change

        path.write_bytes(forge(content, edit))
        with pytest.raises(ValueError, match=f"{path}: expected .* in the card"):
            model_info(path)


class TestForgedModels:
    """Files with right digests that name what is not allowed."""

    @pytest.mark.parametrize(
        ("node", "match"),
        [
            ({"object": ["os.system", {}, None]}, "got 'os.system'; if you trust it"),
            ({"object": ["sklearn_zoomout.metrics.mean_iou", {}, None]}, "classes of"),
            ({"object": [{"a": 1}, {}, None]}, "expected classes"),
            ({"unknown": 1}, "expected a node, got 'unknown'"),
            ({"array": 1, "ref": 2}, "expected a node"),
            ({"array": 10**6}, "expected the number of an array"),
            ({"ref": 0}, "expected an earlier object"),
            ({"float": "1e5"}, "expected nan or inf"),
            ({"number": ["|O", 1]}, "expected a dtype"),
            ({"number": ["<i1", [1, 2]]}, "expected a number"),
            ({"range": [0, 10**18, 1]}, "expected a shorter range"),
            ({"masked": [[1], [True], 0]}, "expected arrays"),
            ({"scorer": ["__builtins__"]}, "expected a scorer"),
            ({"distribution": ["fit", [], {"dict": []}]}, "expected a distribution"),
            ({"random": ["RandomState", "x", 1, {"dict": []}]}, "expected MT19937"),
            ({"sparse": ["os", 1, 1, 1, [1]]}, "expected one of"),
            ({"tuple": 5}, "cannot be built"),
            ({"object": [PCA, {"params": [], "fitted": []}, None]}, "by name"),
            ({"object": [PCA, {"params": {"dict": []}}, None]}, "an estimator with"),
            (5, "cannot be built"),
        ],
    )
    def test_node(self, path, content, node, match):
        """Nothing is imported by a name of the file."""
        refuse(path, forge(content, lambda manifest: manifest | {"model": node}), match)

    @pytest.mark.parametrize(
        ("name", "value"),
        [
            *[("scores", {"a": [1]}), ("scores", {"a": "x"}), ("scores", [])],
            *[("networks", {"a": 1}), ("classes", 5), ("n_columns", "x")],
            *[("date", 5), ("notes", None), ("parameters", {"a": {}})],
        ],
    )
    def test_card(self, path, content, name, value):
        """What a card says has the types that its printed form needs."""
        forged = forge(content, lambda m: m | {"card": m["card"] | {name: value}})
        path.write_bytes(forged)
        with pytest.raises(ValueError, match=f"{path.name}: expected .* card"):
            model_info(path)

    def test_array_without_use(self, path, content):
        """All arrays are checked, so each must be used."""

        def leave_out(manifest):
            scaler = StandardScaler().fit([[1.0]])
            manifest["model"] = node_of(scaler, path.with_name("other"))

        refuse(path, forge(content, leave_out), "expected")

    def test_memory_of_a_pipeline(self, path, content):
        """A pipeline's memory is pickles, which a later fit would load."""

        def add(manifest):
            for pair in manifest["model"]["object"][1]["params"]["dict"]:
                if pair[0] == "memory":
                    pair[1] = "folder"

        refuse(path, forge(content, add), "a pipeline's memory is a folder of pickles")

    def test_unknown_parameter(self, path, content):
        """A parameter that the class does not have is an error with the versions."""

        def add(manifest):
            manifest["model"]["object"][1]["params"]["dict"].append(["new", 1])

        refuse(path, forge(content, add), "unexpected keyword .* saved by sklearn-zoom")


def node_of(estimator, path):
    """Return the node of an estimator."""
    save_model(estimator, path)
    with open(path, "rb") as file:
        return read_header(file).manifest["model"]


class Touch:
    """Writes a file when it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)
