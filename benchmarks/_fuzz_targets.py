"""What is fuzzed: sound files, the functions that read them, and what may happen."""

import io
import os
import pickle
import shutil
import tempfile
import warnings
from contextlib import suppress
from pathlib import Path

import numpy as np
from _fuzz_mutations import mutate
from _fuzz_seeds import annotation_seeds, image_seeds

READ, REFUSED, OTHER, ALTERED, NO_MEMORY, RAN = b"FRXAMC"
#: What may be raised; its message has the path.
ALLOWED = (ValueError, OSError)


class Target:
    """A kind of files and its readers.

    Parameters
    ----------
    folder : path
        Where files are written.
    """

    def __init__(self, folder):
        self.folder = Path(folder)
        self.canary = str(self.folder / "canary")
        self.seeds = self.make_seeds()

    def make_seeds(self):
        """Return a list of (ending, bytes)."""
        raise NotImplementedError

    def read(self, path):
        """Read a file; return whether the values are those of a sound one, or None."""
        raise NotImplementedError

    def place(self, ending):
        """Return the path of a mutated file."""
        return self.folder / f"mutated{ending}"

    def draw(self, rng):
        """Return the path and the bytes of a mutated file."""
        ending, content = rng.choice(self.seeds)
        # Files of the same ending are spliced.
        others = [other for end, other in self.seeds if end == ending]
        return self.place(ending), mutate(rng, content, others, self.canary)

    def run(self, rng):
        """Mutate a file and read it; return what happened, and a message."""
        path, content = self.draw(rng)
        path.write_bytes(content)
        outcome, message = self._try(path)
        if os.path.exists(self.canary):
            os.rmdir(self.canary)
            outcome, message = RAN, "code of the file was run"
        return outcome, message, path.suffix, content

    def _try(self, path):
        try:
            same = self.read(path)
        except MemoryError as error:
            return NO_MEMORY, f"MemoryError: {error}"
        except ALLOWED as error:
            if _lacks_memory(error):
                return NO_MEMORY, str(error)
            if str(path) in str(error) or str(path.parent) in str(error):
                return REFUSED, ""
            return OTHER, f"without the path: {type(error).__name__}: {error}"
        except Exception as error:
            return OTHER, f"{type(error).__name__}: {error}"
        return (ALTERED, "other values") if same is False else (READ, "")


def _lacks_memory(error):
    while error is not None:
        if isinstance(error, MemoryError):
            return True
        error = error.__cause__ or error.__context__
    return False


class Images(Target):
    """Pictures, read as photographs, as masks and as pictures of any kind."""

    def make_seeds(self):
        return image_seeds()

    def read(self, path):
        from sklearn_zoomout import read_mask
        from sklearn_zoomout.datasets import read_image, read_photograph

        readers = [read_photograph]
        if path.suffix not in (".jpg", ".ppm", ".tga"):
            readers.append(read_mask)
        for read in readers:
            try:
                read(path)
            except ALLOWED as error:
                if str(path) not in str(error) or _lacks_memory(error):
                    raise
        read_image(path, page=0, alpha="nodata")


class Rasters(Target):
    """Windows of TIFF files and of arrays in files."""

    def make_seeds(self):
        return [
            seed
            for seed in (*image_seeds(), *annotation_seeds())
            if seed[0] in (".tif", ".npy")
        ]

    def read(self, path):
        from sklearn_zoomout.rasters import open_raster

        with open_raster(path) as raster:
            raster.read_with_valid(0, 0, 1, 1)


class Annotations(Target):
    """Files of annotation programs, and masks that are arrays or have a note."""

    def make_seeds(self):
        return annotation_seeds()

    def read(self, path):
        from sklearn_zoomout import read_masks

        read_masks(path)


class Weights(Target):
    """Weights in safetensors and in state dicts of torch."""

    def make_seeds(self):
        import torch
        from safetensors.torch import save

        state = {
            "a.weight": torch.arange(60.0).reshape(5, 3, 2, 2),
            "a.bias": torch.arange(5.0).half(),
            "n": torch.tensor(3),
        }
        files = [io.BytesIO() for _ in range(2)]
        for file, is_zip in zip(files, (True, False), strict=True):
            torch.save(state, file, _use_new_zipfile_serialization=is_zip)
        return [
            *[(".safetensors", save(state))] * 2,
            *((".pth", file.getvalue()) for file in files),
        ]

    def read(self, path):
        from sklearn_zoomout.backbones._names import find_backbone
        from sklearn_zoomout.backbones._weights import WeightsFile, read_weights

        read_weights(WeightsFile(path, find_backbone("squeezenet1_0")))


class Models(Target):
    """Files of save_model; half of them have right digests after the change."""

    def make_seeds(self):
        from sklearn.ensemble import RandomForestClassifier

        from sklearn_zoomout import (
            LocalFeatures,
            SuperpixelSegmenter,
            ZoomoutClassifier,
            save_model,
        )
        from sklearn_zoomout.datasets import make_scenes
        from sklearn_zoomout.tiles import ZoomoutPipeline

        images, masks = make_scenes(n_images=2, random_state=0)
        segmenter = SuperpixelSegmenter(n_segments=40)
        forest = RandomForestClassifier(n_estimators=2, max_depth=3, random_state=0)
        classifiers = [
            ZoomoutClassifier((4,), max_epochs=1, random_state=0),
            ZoomoutClassifier(estimator=forest, random_state=0),
        ]
        models = [segmenter.fit(images)]
        for classifier in classifiers:
            level = LocalFeatures(("color", "location"))
            steps = [("superpixels", segmenter), ("level", level), ("c", classifier)]
            models.append(ZoomoutPipeline(steps).fit(images, masks))
        seeds = []
        for model in models:
            path = self.folder / "model.zoomout"
            save_model(model, path)
            seeds.append((".zoomout", path.read_bytes()))
        return seeds

    def read(self, path):
        from sklearn_zoomout import load_model, model_info

        try:
            str(model_info(path))
        except ValueError as error:
            if str(path) not in str(error):
                raise
        load_model(path)


class Tables(Target):
    """Folders of store_features, of which one file is changed."""

    def make_seeds(self):
        from sklearn.pipeline import make_pipeline

        from sklearn_zoomout import LocalFeatures, SuperpixelSegmenter, store_features
        from sklearn_zoomout.datasets import make_scenes

        images, _ = make_scenes(n_images=2, random_state=0)
        segmenter = SuperpixelSegmenter(n_segments=12)
        level = LocalFeatures(("color", "location"))
        self.sound = self.folder / "sound"
        store_features(make_pipeline(segmenter, level).fit(images), images, self.sound)
        self.values = _values(self.sound)
        names = sorted(path.name for path in self.sound.iterdir())
        return [
            (name, (self.sound / name).read_bytes()) for name in names if name != "lock"
        ]

    def place(self, ending):
        table = self.folder / "table"
        shutil.rmtree(table, ignore_errors=True)
        shutil.copytree(self.sound, table)
        return table / ending

    def read(self, path):
        found = _values(path.parent)
        return all(map(np.array_equal, found, self.values))


def _values(folder):
    from sklearn_zoomout import open_features

    table = open_features(folder)
    return [table.to_numpy(), *(image.segments for image in table.superpixels)]


class Caches(Target):
    """Entries of a cache, which are computed again if they are damaged."""

    key = "ab" * 32

    def make_seeds(self):
        from sklearn_zoomout import FeatureCache

        self.cache = FeatureCache(self.folder / "cache")
        self.values = np.arange(200, dtype=np.float32).reshape(20, 10)
        self.cache.put(self.key, self.values)
        self.path = next((self.folder / "cache").rglob("*.npy"))
        return [(".npy", self.path.read_bytes())]

    def place(self, ending):
        return self.path

    def read(self, path):
        found = self.cache.get(self.key)
        if found is None:
            raise ValueError(f"{path}: a warning, and it is computed again")
        return np.array_equal(found, self.values)


TARGETS = {
    "images": Images,
    "rasters": Rasters,
    "annotations": Annotations,
    "weights": Weights,
    "models": Models,
    "tables": Tables,
    "caches": Caches,
}


def make_target(kind, folder):
    """Return the target of a name; its files are made once, and kept in a folder."""
    kept = Path(folder) / f"{kind}.pickle"
    with suppress(FileNotFoundError):
        return pickle.loads(kept.read_bytes())
    (Path(folder) / kind).mkdir(exist_ok=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        target = TARGETS[kind](Path(folder) / kind)
    with tempfile.NamedTemporaryFile(dir=folder, delete=False) as file:
        file.write(pickle.dumps(target))
    os.replace(file.name, kept)
    return target
