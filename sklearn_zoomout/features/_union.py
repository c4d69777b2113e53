"""All levels of an image together."""

from collections.abc import Sequence
from typing import Any, Self

import numpy as np
from joblib import delayed, parallel_config
from numpy.typing import NDArray
from sklearn.pipeline import FeatureUnion
from sklearn.utils.validation import check_is_fitted

from .._utils.before_fit import check_labels_before_fit, check_params_before_fit
from .._utils.fitting import fresh_fit
from .._utils.frozen_params import FrozenParams, FrozenParamsMixin
from .._utils.parallel import run_in_turn
from .._utils.progress import show_progress
from ..backbones._backbone import BackboneLike, as_backbone
from ..masks._present import PresentLabels
from ..superpixels import SegmentedImage, Superpixels, check_superpixels
from ..table import FeatureTable, check_table
from ._base import RegionFeatures, RowCollector
from .convnet._level import ConvnetLevel, Passes


class ZoomoutUnion(FrozenParamsMixin, FeatureUnion):
    """A `sklearn.pipeline.FeatureUnion` that works image by image.

    A FeatureUnion computes one level of all images, then the next level. This one
    computes all levels of an image together. Levels with equal backbones share a
    forward pass (the distant and the maps level of the preset "fast"), and images can
    be spread over threads, processes or machines. The features are the same. The blocks
    of the table have the names of the steps.

    Parameters
    ----------
    transformer_list : list of (str, transformer) tuples
        The levels, or "drop"; see `sklearn.pipeline.FeatureUnion`. Every transformer
        must return a `FeatureTable`.
    backbone : Backbone, str, callable or None, default=None
        The network of all levels that have ``backbone=None``, so that one parameter of
        a search changes it for all of them. None leaves them their default, "zoomnet".
    n_jobs : int or None, default=None
        How many images to work on at once, in threads, or as
        `joblib.parallel_config` says.
    verbose : bool, default=False
        Whether to show a progress bar.

    Examples
    --------
    >>> from sklearn_zoomout import (
    ...     ConvnetRegionFeatures, ConvnetSuperpixelFeatures, SuperpixelSegmenter,
    ...     ZoomoutUnion,
    ... )
    >>> from sklearn_zoomout.datasets import make_scenes
    >>> images, masks = make_scenes(n_images=2, random_state=0)
    >>> superpixels = SuperpixelSegmenter(n_segments=50).fit_transform(images)
    >>> boxes = ConvnetRegionFeatures(input_size=96)
    >>> maps = ConvnetSuperpixelFeatures(input_size=96)
    >>> union = ZoomoutUnion([("boxes", boxes), ("maps", maps)], backbone="zoomnet")
    >>> union.fit_transform(superpixels)
    FeatureTable(2 images, ... superpixels, 584 columns; boxes: 256, maps: 328)
    """

    # Features of different levels are scaled by the classifier, and always named.
    transformer_weights = None
    verbose_feature_names_out = True

    def __init__(
        self,
        transformer_list: list[tuple[str, Any]],
        *,
        backbone: BackboneLike = None,
        n_jobs: int | None = None,
        verbose: bool = False,
    ) -> None:
        self.transformer_list = transformer_list
        self.backbone = backbone
        self.n_jobs = n_jobs
        self.verbose = verbose

    def _as_frozen(self, name: str) -> FrozenParams | None:
        return as_backbone(self.backbone) if name == "backbone" else None

    def set_params(self, **params: Any) -> Self:
        """Set the parameters of the union and of its levels.

        Parameters
        ----------
        **params
            Their values by name. "distant__backbone__dtype" changes the network of the
            level "distant", which is that of the union if the level has none.

        Returns
        -------
        self : ZoomoutUnion
        """
        # Levels change the backbone of the union as it is after this call.
        nested = {
            name: value
            for name, value in params.items()
            if "__" in name and not name.startswith("backbone__")
        }
        super().set_params(**{k: v for k, v in params.items() if k not in nested})
        if nested:
            self._share_backbone()
            super().set_params(**nested)
        return self

    def fit(self, X: Any, y: Any = None) -> Self:
        """Fit all levels, one after the other.

        Parameters
        ----------
        X : Superpixels
            The training images.
        y : sequence of ndarray, optional
            Their masks.

        Returns
        -------
        self : ZoomoutUnion
        """
        with fresh_fit(self):
            levels = self._levels()
            X = check_superpixels(X)
            for level in levels.values():
                level.fit(X, y)
        return self

    def fit_transform(self, X: Any, y: Any = None) -> FeatureTable:
        """Fit all levels, and describe the training images.

        Parameters
        ----------
        X : Superpixels
            The training images.
        y : sequence of ndarray, optional
            Their masks.

        Returns
        -------
        FeatureTable
            A block for each level.
        """
        with fresh_fit(self):
            levels = self._levels()
            X = check_superpixels(X)
            tables: dict[str, FeatureTable] = {}
            for name, level in levels.items():
                if _by_image(level) and _transforms_training_images_alike(level):
                    level.fit(X, y)
                else:
                    tables[name] = _named(name, level.fit_transform(X, y))
            return self._describe(levels, tables, X)

    def transform(self, X: Any) -> FeatureTable:
        """Describe images.

        Parameters
        ----------
        X : Superpixels
            The images.

        Returns
        -------
        FeatureTable
            A block for each level.
        """
        levels = self._levels()
        for level in levels.values():
            check_is_fitted(level)
        X = check_superpixels(X)
        tables = {
            name: _named(name, level.transform(X))
            for name, level in levels.items()
            if not _by_image(level)
        }
        return self._describe(levels, tables, X)

    def _check_labels_before_fit(self, labels: PresentLabels | None) -> None:
        for level in self._levels().values():
            check_labels_before_fit(level, labels)

    def _check_params_before_fit(self) -> None:
        for level in self._levels().values():
            check_params_before_fit(level)

    def _levels(self) -> dict[str, Any]:
        """Return the levels that are not dropped, and set their default backbone."""
        self._validate_transformers()
        levels = {n: level for n, level in self.transformer_list if level != "drop"}
        if not levels:
            raise ValueError(
                "transformer_list: expected at least one level, got none that is not "
                "dropped."
            )
        self._share_backbone()
        return levels

    def _share_backbone(self) -> None:
        for _, level in self.transformer_list:
            if isinstance(level, ConvnetLevel):
                level.default_backbone = self.backbone

    def _describe(
        self,
        levels: dict[str, Any],
        tables: dict[str, FeatureTable],
        superpixels: Superpixels,
    ) -> FeatureTable:
        """Describe images by the levels that have no table yet, image by image."""
        rest = {name: levels[name] for name in levels if name not in tables}
        collectors = {n: RowCollector(rest[n], superpixels, n) for n in rest}
        # An image takes long enough to be a task of its own. Larger tasks would leave
        # processes idle at the end.
        chosen = list(rest.values())
        tasks = (delayed(_describe_image)(chosen, s) for s in superpixels)
        described = run_in_turn(tasks, self.n_jobs, batch_size=1)
        quiet = not (self.verbose and rest)
        shown = show_progress(
            described, "zoom-out", len(superpixels), quiet=quiet, unit="image"
        )
        for i, rows_of_levels in enumerate(shown):
            for collector, rows in zip(
                collectors.values(), rows_of_levels, strict=True
            ):
                collector.put(i, rows)
        tables |= {name: collector.table() for name, collector in collectors.items()}
        side_by_side: Any = np.concatenate([tables[n] for n in levels], axis=1)
        return side_by_side


def _by_image(level: Any) -> bool:
    return isinstance(level, RegionFeatures)


def _transforms_training_images_alike(level: Any) -> bool:
    return type(level).fit_transform is RegionFeatures.fit_transform


def _named(name: str, table: Any) -> FeatureTable:
    """Name the blocks of a table after the step that made it."""
    table = check_table(table)
    inner = table.block_names
    names = [name] if len(inner) == 1 else [f"{name}__{block}" for block in inner]
    return table.rename_blocks(names)


def _describe_image(
    levels: Sequence[RegionFeatures], segmented: SegmentedImage
) -> list[NDArray[Any]]:
    """Compute the rows of all levels of one image."""
    one = Superpixels([segmented.with_passes(Passes(levels))])
    # The image is a task by itself. Tasks of its levels would run elsewhere, where they
    # cannot share a forward pass.
    with parallel_config("sequential"):
        return [next(level.recall_or_describe(one)) for level in levels]
