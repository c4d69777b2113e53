"""A forest of pixels, and the small network that imitates it."""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.ensemble import RandomForestClassifier

from .._utils.threads import one_thread
from ..classifier._schedule import one_cycle

# Each tree is grown on at most so many draws. More take longer, and gain little.
_DRAWS_OF_TREE = 5000
# The network, and its training.
_HIDDEN_UNITS = (32, 32)
_STEPS, _BATCH_SIZE, _LEARNING_RATE, _WEIGHT_DECAY = 1000, 512, 3e-3, 1e-3
# Pixels in one pass: those of the network stay in the processor's cache.
_OF_NET, _OF_FOREST = 2048, 2**16

#: Maps planes, (n_filters, n), to the class probabilities of their n pixels.
Predict = Callable[[NDArray[np.float32]], NDArray[np.float32]]


def fit_forest(
    features: NDArray[np.float32],
    codes: NDArray[np.int64],
    shares: NDArray[np.float64],
    seed: int,
    n_jobs: int | None = None,
    n_trees: int = 60,
) -> RandomForestClassifier:
    """Fit a random forest to pixels.

    Parameters
    ----------
    features : ndarray of float32 of shape (n, n_filters)
        The filters of the pixels.
    codes : ndarray of int64 of shape (n,)
        Their classes, as positions in the list of classes.
    shares : ndarray of float64 of shape (n,)
        How many pixels each of them stands for.
    seed : int
        Seed of the forest.
    n_jobs : int or None, default=None
        How many trees to grow at once.
    n_trees : int, default=60
        Number of trees.

    Returns
    -------
    RandomForestClassifier
    """
    forest = RandomForestClassifier(
        n_trees,
        min_samples_leaf=2,
        max_samples=min(_DRAWS_OF_TREE, len(codes)),
        random_state=seed,
        n_jobs=n_jobs,
    )
    forest.fit(features, codes, sample_weight=shares / shares.mean())
    # Several threads would add the votes in any order, and round them otherwise.
    return forest.set_params(n_jobs=None)


def predict_by_forest(forest: RandomForestClassifier, n_classes: int) -> Predict:
    """Return the function that predicts by a forest.

    Parameters
    ----------
    forest : RandomForestClassifier
        Its classes are positions in the list of classes.
    n_classes : int
        Number of classes. Those that the forest does not know have probability 0.

    Returns
    -------
    callable
        Maps planes of shape (n_filters, n) to probabilities of shape (n, n_classes).
    """

    def predict(planes: NDArray[np.float32]) -> NDArray[np.float32]:
        proba = np.zeros((planes.shape[1], n_classes), dtype=np.float32)
        for start in range(0, planes.shape[1], _OF_FOREST):
            rows = slice(start, start + _OF_FOREST)
            proba[rows, forest.classes_] = forest.predict_proba(planes[:, rows].T)
        return proba

    return predict


def predict_by_net(net: Any) -> Predict:
    """Return the function that predicts by a network.

    Parameters
    ----------
    net : ZoomoutNet
        The network.

    Returns
    -------
    callable
        Maps planes of shape (n_filters, n) to probabilities of shape (n, n_classes).
    """
    import torch

    def predict(planes: NDArray[np.float32]) -> NDArray[np.float32]:
        proba = np.empty((planes.shape[1], net.n_classes), dtype=np.float32)
        with torch.inference_mode():
            for start in range(0, planes.shape[1], _OF_NET):
                rows = slice(start, start + _OF_NET)
                x = torch.from_numpy(planes[:, rows]).T.contiguous()
                proba[rows] = net(x).softmax(dim=1).numpy()
        return proba

    return predict


def compress(
    forest: RandomForestClassifier,
    features: NDArray[np.float32],
    n_classes: int,
    seed: int,
) -> Any:
    """Train a small network to predict what a forest predicts.

    Parameters
    ----------
    forest : RandomForestClassifier
        The forest.
    features : ndarray of float32 of shape (n, n_filters)
        Filters of pixels, whose labels need not be known.
    n_classes : int
        Number of classes.
    seed : int
        Seed of the first weights and of the order of the pixels.

    Returns
    -------
    ZoomoutNet
    """
    import torch

    from ..classifier._net import ZoomoutNet

    target = torch.from_numpy(predict_by_forest(forest, n_classes)(features.T))
    scale = features.std(axis=0, dtype=np.float64)
    net = ZoomoutNet(
        features.shape[1],
        _HIDDEN_UNITS,
        n_classes,
        mean=features.mean(axis=0, dtype=np.float64),
        scale=np.where(scale > 0, scale, 1),
        random_state=seed,
    )
    x = torch.from_numpy(features)
    generator = torch.Generator().manual_seed(seed)
    optimizer = torch.optim.AdamW(
        net.parameters(), weight_decay=_WEIGHT_DECAY, fused=True
    )
    with one_thread():
        for step in range(_STEPS):
            rate = _LEARNING_RATE * one_cycle((step + 0.5) / _STEPS)
            optimizer.param_groups[0]["lr"] = rate
            rows = torch.randint(len(x), (_BATCH_SIZE,), generator=generator)
            loss = torch.nn.functional.cross_entropy(net(x[rows]), target[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    return net.requires_grad_(False).eval()
