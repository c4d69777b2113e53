"""Fine-tuning of a backbone on the labels of superpixels."""

import hashlib
import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..._utils.checkpoints import Checkpoint, check_checkpoint
from ..._utils.digests import digest_array, digest_state
from ..._utils.random_draws import draw_evenly
from ...backbones import Backbone, FineTuning, Network, load_network
from ...backbones._fine_tuned import FineTunedWeights
from ...backbones._loading import load_shared_network
from ...backbones._training import train
from ...cache import OpenCache, entry_key
from ...labels import LabeledRows, label_rows
from ...loss import class_weights
from ...masks import UNLABELED
from ...superpixels import Superpixels

# Of n images, this many times the square root of n are shown. On Stanford Background,
# one draw of 20 lost 0.9 points of mean IoU by 80 passes, 0.3 by 30; 572 gained by 4.
_SHOWN = 100
# The classifier of the maps is new. The network's weights are good already, and its
# batch normalization, kept as it is or folded into convolutions, needs small steps.
_SCORES_RATE = 10
_DECAY_POWER = 0.9
# Images from which the deviations of the maps are taken.
_MEASURED = 8


def fine_tune(
    backbone: Backbone,
    superpixels: Superpixels,
    masks: Any,
    cache: OpenCache | None = None,
    verbose: int = 0,
) -> FineTunedWeights:
    """Train a backbone, once for all levels that are fitted on the same superpixels.

    Parameters
    ----------
    backbone : Backbone
        The network, with the settings of its ``fine_tune``.
    superpixels : Superpixels
        The training images.
    masks : sequence of array-like of integers of shape (height, width)
        Their label maps.
    cache : OpenCache or None, default=None
        Where to keep the weights.
    verbose : int, default=0
        Show a progress bar if positive.

    Returns
    -------
    FineTunedWeights

    Raises
    ------
    ValueError
        If masks are missing or do not fit their images, superpixels of fewer than two
        classes are labeled, or the loss becomes NaN.
    """
    if masks is None:
        refuse_no_masks()
    settings = backbone.fine_tune
    assert isinstance(settings, FineTuning)
    refuse_wrong_checkpoint(backbone)
    plain = replace(backbone, flip=False, dtype="float32", fine_tune=None)
    labeled = _without_absent_classes(label_rows(superpixels, masks))
    of_labels = [labeled.rows, labeled.classes[labeled.codes]]
    alike = settings.replace(checkpoint=None)
    identity = (load_shared_network(plain).key, alike, backbone.random_state)

    def compute() -> FineTunedWeights:
        network = load_network(plain)
        before, after, entry = network.weights(), None, ""
        data = _digest_data(superpixels, of_labels)
        if cache is not None:
            state = digest_state(alike, {"identity": repr(identity)})
            entry = entry_key(state, data)
            after = _recall(cache, entry, before)
        if after is None:
            _train(network, settings, superpixels, labeled, backbone, data, verbose)
            after = network.weights()
            if cache is not None:
                cache.put(entry, np.concatenate([v.ravel() for v in after.values()]))
        # Layers behind the last map are not trained.
        changed = {
            name: values
            for name, values in after.items()
            if not np.array_equal(values, before[name])
        }
        return FineTunedWeights(network.sha256, changed)

    key = ("fine-tuned", *identity, *map(digest_array, of_labels))
    return superpixels.fitted.get(key, compute)


def refuse_no_masks() -> None:
    """Raise the error that there are no masks."""
    raise ValueError(
        "masks: fine_tune learns from label maps, got none; call "
        "fit(superpixels, masks), or pass a Backbone with fine_tune=None."
    )


def _without_absent_classes(labeled: LabeledRows) -> LabeledRows:
    """Leave out classes that are the majority of no superpixel."""
    present, codes = np.unique(labeled.codes, return_inverse=True)
    return replace(labeled, codes=codes, classes=labeled.classes[present])


def refuse_wrong_checkpoint(backbone: Backbone) -> None:
    """Raise an error if a fine-tuning could not go on from its checkpoint."""
    settings = backbone.fine_tune
    if not isinstance(settings, FineTuning) or settings.checkpoint is None:
        return
    check_checkpoint(settings.checkpoint, backbone.random_state)
    if backbone.is_callable:
        raise ValueError(
            "checkpoint: expected the name of a backbone, got a callable, whose code "
            "may change between two fits; pass checkpoint=None."
        )


def _digest_data(superpixels: Superpixels, of_labels: Sequence[NDArray[Any]]) -> str:
    data = hashlib.sha256()
    for segmented in superpixels:
        data.update(segmented.digest.encode())
    for labels in of_labels:
        data.update(digest_array(labels).encode())
    return data.hexdigest()


def _open_checkpoint(
    network: Network,
    settings: FineTuning,
    backbone: Backbone,
    n_steps: int,
    data: str,
    verbose: int,
) -> Checkpoint | None:
    depends_on = {
        "network": [network.sha256, repr(network.spec)],
        "version": FineTuning.cache_version,
        "random_state": backbone.random_state,
        "data": data,
    }
    return settings.open_checkpoint(
        f"fine-tuned {network.spec.file_stem}",
        depends_on,
        n_steps=n_steps,
        device=backbone.device,
        verbose=verbose,
    )


def _recall(
    cache: OpenCache, entry: str, like: dict[str, NDArray[np.float32]]
) -> dict[str, NDArray[np.float32]] | None:
    """Return weights that were kept, None if there are none."""
    size = sum(values.size for values in like.values())
    kept = cache.get(entry, (size,), np.float32)
    if kept is None:
        return None
    parts = np.split(kept, np.cumsum([v.size for v in like.values()])[:-1])
    return {
        name: part.reshape(like[name].shape)
        for name, part in zip(like, parts, strict=True)
    }


def _train(
    network: Network,
    settings: FineTuning,
    superpixels: Superpixels,
    labeled: LabeledRows,
    backbone: Backbone,
    data: str,
    verbose: int,
) -> None:
    """Train the network together with a linear classifier of its maps."""
    import torch

    from ._augmentation import Augmentation
    from ._linear_head import RegionScores, region_loss

    weight = torch.tensor(
        class_weights(settings.class_weight, labeled.classes, labeled.frequency()),
        dtype=torch.float32,
        device=network.device,
    )
    codes = np.full(superpixels.n_rows, UNLABELED)
    codes[labeled.rows] = labeled.codes
    rng = np.random.default_rng(backbone.random_state)
    batches = _draw_batches(labeled, settings, rng)
    augmentation = Augmentation(
        network,
        superpixels,
        np.split(codes, superpixels.row_offsets[1:-1]),
        settings.input_size,
        rng,
    )
    layers, widths, _ = network.taps("all")
    first = augmentation.draw(np.unique(batches)[:_MEASURED])[0]
    deviations = [m.std().item() or 1.0 for m in network.maps(first, layers)]
    scores = RegionScores(deviations, widths, len(weight)).to(network.device)

    def loss_of(images: NDArray[np.int64]) -> torch.Tensor:
        pixels, segments, targets = augmentation.draw(images)
        maps = network.maps(pixels, layers)
        scored, areas = scores(maps, segments, len(targets))
        return region_loss(scored, areas, targets, weight)

    rate = settings.learning_rate
    optimizer = torch.optim.AdamW(
        [
            {"params": list(network.unfreeze()), "lr": rate},
            {"params": list(scores.parameters()), "lr": _SCORES_RATE * rate},
        ],
        weight_decay=settings.weight_decay,
    )
    train(
        optimizer,
        batches,
        loss_of,
        decay=lambda share: (1 - share) ** _DECAY_POWER,
        name=f"fine_tune of backbone {network.spec.name!r}",
        verbose=verbose,
        checkpoint=_open_checkpoint(
            network, settings, backbone, len(batches), data, verbose
        ),
        rng=rng,
    )
    network.freeze()


def _draw_batches(
    labeled: LabeledRows, settings: FineTuning, rng: np.random.Generator
) -> NDArray[np.int64]:
    """Draw the images of every step, of shape (n_steps, batch_size)."""
    images = np.unique(labeled.images)
    size = min(settings.batch_size, len(images))
    n_steps = settings.max_steps
    if n_steps is None:
        n_steps = math.ceil(_SHOWN * math.sqrt(len(images)) / size)
    order = images[draw_evenly(len(images), n_steps * size, rng)]
    return order.reshape(n_steps, size)
