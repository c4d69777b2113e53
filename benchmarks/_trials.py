"""What the library does with a bad input, compared with what it promises."""

import tempfile
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from sklearn_zoomout import LocalFeatures, SuperpixelSegmenter, ZoomoutClassifier
from sklearn_zoomout.tiles import ZoomoutPipeline


class Broken(AssertionError):
    """A promise was not kept."""


class Trial(NamedTuple):
    """A bad input or a fault, and what the library promises to do with it.

    Attributes
    ----------
    number : int
        Its place in the list.
    title : str
        What is wrong.
    promise : str
        What happens, as the documentation says it.
    run : callable
        Tries it in a `Workbench`, and raises `Broken` if the promise is not kept.
    """

    number: int
    title: str
    promise: str
    run: Callable[["Workbench"], None]

    def attempt(self) -> tuple[bool, str]:
        """Return whether the promise is kept, and what happened."""
        with tempfile.TemporaryDirectory() as folder:
            bench = Workbench(Path(folder))
            try:
                with warnings.catch_warnings():
                    warnings.simplefilter("error")
                    self.run(bench)
            except Exception as error:
                return False, f"{type(error).__name__}: {error}"
        return True, bench.seen[-1]


def trial(number: int, title: str, promise: str) -> Callable[..., Any]:
    """Make a function a trial, which `trials_of` finds."""

    def mark(function: Callable[..., None]) -> Callable[..., None]:
        function.trial = Trial(number, title, promise, function)  # type: ignore[attr-defined]
        return function

    return mark


def trials_of(*modules: ModuleType) -> list[Trial]:
    """Return the trials of modules in the order of their numbers."""
    functions = [f for module in modules for f in vars(module).values()]
    return sorted({f.trial for f in functions if hasattr(f, "trial")})


def draw_scenes() -> tuple[list[NDArray[np.uint8]], list[NDArray[np.int64]]]:
    """Return four noisy images of a sky, a ground and a disc, and their masks."""
    rng = np.random.default_rng(0)
    rows, columns = np.indices((50, 70))
    palette = np.array([[120, 170, 230], [110, 90, 50], [200, 50, 60]])
    images, masks = [], []
    for horizon in (20, 25, 30, 35):
        mask = (rows >= horizon).astype(np.int64)
        mask[np.hypot(rows - 40, columns - 2 * horizon + 10) < 14] = 2
        noisy = palette[mask] + rng.normal(0, 12, (*mask.shape, 3))
        images.append(np.clip(noisy, 1, 254).astype(np.uint8))
        masks.append(mask)
    return images, masks


def color_pipeline(**parameters: Any) -> ZoomoutPipeline:
    """Return a pipeline of colors alone, which is fast."""
    steps = [
        ("superpixels", SuperpixelSegmenter(30)),
        ("local", LocalFeatures(("color",))),
        ("classifier", ZoomoutClassifier((8,), max_epochs=2, random_state=0)),
    ]
    return ZoomoutPipeline(steps).set_params(**parameters)


def no_superpixels(rgb: Any) -> Any:
    """Take the place of the method of superpixels where an error must come first."""
    raise Broken("superpixels were computed before the error")


class Workbench:
    """Scenes, a fitted pipeline and a folder, to try bad inputs with.

    Parameters
    ----------
    folder : pathlib.Path
        An empty folder.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.seen: list[str] = ["as promised"]
        self.images, self.masks = draw_scenes()

    @cached_property
    def fitted(self) -> ZoomoutPipeline:
        """A fitted pipeline of colors."""
        return color_pipeline().fit(self.images, self.masks)

    def images_with(self, image: Any) -> list[Any]:
        """Return the images, of which images[2] is another."""
        return [*self.images[:2], image, *self.images[3:]]

    def masks_with(self, mask: Any) -> list[Any]:
        """Return the masks, of which masks[2] is another."""
        return [*self.masks[:2], mask, *self.masks[3:]]

    def fails(
        self, call: Callable[[], Any], *words: str, kind: Any = (ValueError, TypeError)
    ) -> None:
        """Check that a call raises an error that holds these words."""
        try:
            call()
        except kind as error:
            message = f"{type(error).__name__}: {error}"
        else:
            raise Broken(f"expected an error with {words}, got none")
        missing = [word for word in words if word not in message]
        if missing:
            raise Broken(f"expected {missing} in {message}")
        self.seen.append(message)

    def refuses(self, images: Any, masks: Any, *words: str, **parameters: Any) -> None:
        """Check that fit refuses this before the first superpixel."""
        model = color_pipeline(superpixels__method=no_superpixels, **parameters)
        self.fails(lambda: model.fit(images, masks), *words)

    def refuses_image(self, image: Any, *words: str) -> None:
        """Check that fit and predict refuse an image, and name it."""
        images = self.images_with(image)
        self.refuses(images, self.masks, "images[2]", *words)
        self.fails(lambda: self.fitted.predict(images), "images[2]", *words)

    def refuses_mask(self, mask: Any, *words: str) -> None:
        """Check that fit refuses a mask, and names it."""
        self.refuses(self.images, self.masks_with(mask), "masks[2]", *words)

    def warns(
        self, call: Callable[[], Any], category: type[Warning], *words: str
    ) -> Any:
        """Return what a call returns, which must warn once, with these words."""
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            result = call()
        found = [w for w in caught if issubclass(w.category, category)]
        if len(found) != 1:
            raise Broken(f"expected one {category.__name__}, got {len(found)}")
        message = str(found[0].message)
        missing = [word for word in words if word not in message]
        if missing:
            raise Broken(f"expected {missing} in {message}")
        self.seen.append(f"{category.__name__}: {message}")
        return result

    def same(self, one: Any, other: Any, what: str) -> None:
        """Check that two arrays, or two lists of them, are equal bit for bit."""
        listed = not isinstance(one, np.ndarray) or one.dtype == object
        pairs = zip(one, other, strict=True) if listed else [(one, other)]
        if not all(np.array_equal(*pair) for pair in pairs):
            raise Broken(f"{what}: results differ")
        self.seen.append(what)

    def holds(self, fact: Any, what: str) -> None:
        """Check that something is true."""
        if not fact:
            raise Broken(f"not so: {what}")
        self.seen.append(what)

    def saved(self, name: str, array: Any, **options: Any) -> Path:
        """Save a picture in the folder and return its path."""
        from PIL import Image

        path = self.folder / name
        Image.fromarray(array).save(path, **options)
        return path

    def written(self, name: str, content: bytes) -> Path:
        """Write a file in the folder and return its path."""
        path = self.folder / name
        path.write_bytes(content)
        return path

    @contextmanager
    def changed(self, owner: Any, name: str, value: Any) -> Iterator[None]:
        """Replace an attribute for a while."""
        before = getattr(owner, name)
        setattr(owner, name, value)
        try:
            yield
        finally:
            setattr(owner, name, before)
