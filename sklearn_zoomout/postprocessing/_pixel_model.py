"""Models of pixels: a forest, and small networks."""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.ensemble import ExtraTreesClassifier

from .._utils.threads import one_thread
from ..classifier._schedule import one_cycle

# Trees of a forest, and the draws that each is grown on at most. More take longer, and
# gain nothing.
_N_TREES, _N_DRAWS = 40, 3000
# The network that imitates a forest. It has half of the steps if it counts little.
_HIDDEN_UNITS, _STEPS, _LEARNING_RATE = (32, 32), 1000, 5e-3
_BATCH_SIZE, _WEIGHT_DECAY = 512, 1e-3
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
    n_trees: int = _N_TREES,
    n_draws: int = _N_DRAWS,
) -> ExtraTreesClassifier:
    """Fit extremely randomized trees to pixels.

    From few strokes they learn more than a random forest does.

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
    n_trees : int, default=40
        Number of trees.
    n_draws : int, default=3000
        Draws from the pixels for each tree, if there are more pixels.

    Returns
    -------
    ExtraTreesClassifier
    """
    many = len(codes) > n_draws
    forest = ExtraTreesClassifier(
        n_trees,
        min_samples_leaf=2,
        max_features=0.6,
        bootstrap=many,
        max_samples=n_draws if many else None,
        random_state=seed,
        n_jobs=n_jobs,
    )
    forest.fit(features, codes, sample_weight=shares / shares.mean())
    # Several threads would add the votes in any order, and round them otherwise.
    return forest.set_params(n_jobs=None)


def predict_by_forest(forest: ExtraTreesClassifier, n_classes: int) -> Predict:
    """Return the function that predicts by a forest.

    Parameters
    ----------
    forest : ExtraTreesClassifier
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
        The network, on standardized features.

    Returns
    -------
    callable
        Maps planes of shape (n_filters, n) to probabilities of shape (n, n_classes).
    """
    import torch

    from ..classifier._net import CLIP

    layers = [(layer.weight, layer.bias[:, None]) for layer in net.layers]
    shift, factor = net.shift[:, None], net.factor[:, None]

    def predict(planes: NDArray[np.float32]) -> NDArray[np.float32]:
        proba = np.empty((planes.shape[1], net.n_classes), dtype=np.float32)
        with torch.inference_mode():
            for start in range(0, planes.shape[1], _OF_NET):
                rows = slice(start, start + _OF_NET)
                # A pixel is a column, as in the planes, which are not turned then.
                x = torch.addcmul(shift, torch.from_numpy(planes[:, rows]), factor)
                x.clamp_(-CLIP, CLIP)
                for i, (weight, bias) in enumerate(layers):
                    x = torch.addmm(bias, weight, x.relu_() if i else x)
                proba[rows] = x.softmax(dim=0).T.numpy()
        return proba

    return predict


def compress_forest(
    forest: ExtraTreesClassifier,
    features: NDArray[np.float32],
    n_classes: int,
    seed: int,
    weight: float,
) -> Any:
    """Train a small network to predict what a forest predicts.

    Parameters
    ----------
    forest : ExtraTreesClassifier
        The forest.
    features : ndarray of float32 of shape (n, n_filters)
        Filters of pixels, whose labels need not be known.
    n_classes : int
        Number of classes.
    seed : int
        Seed of the first weights and of the order of the pixels.
    weight : float
        The weight of the pixels.

    Returns
    -------
    ZoomoutNet
    """
    target = predict_by_forest(forest, n_classes)(features.T)
    return train_net(
        features,
        target,
        n_classes,
        seed,
        hidden_units=_HIDDEN_UNITS,
        steps=_STEPS if weight >= 0.5 else _STEPS // 2,
        learning_rate=_LEARNING_RATE,
    )


def train_net(
    features: NDArray[np.float32],
    target: NDArray[Any],
    n_classes: int,
    seed: int,
    *,
    hidden_units: tuple[int, ...],
    steps: int,
    learning_rate: float,
    dropout: float = 0.0,
    shares: NDArray[np.float64] | None = None,
) -> Any:
    """Train a small network on pixels.

    Parameters
    ----------
    features : ndarray of float32 of shape (n, n_features)
        Features of the pixels.
    target : ndarray of shape (n,) or (n, n_classes)
        The classes of the pixels as positions, int64, or their probabilities, float32.
    n_classes : int
        Number of classes.
    seed : int
        Seed of the first weights, of dropout and of the order of the pixels.
    hidden_units : tuple of int
        Widths of the hidden layers.
    steps : int
        Number of steps, of 512 pixels each.
    learning_rate : float
        The highest rate.
    dropout : float, default=0.0
        Share of hidden units that are dropped in training.
    shares : ndarray of float64 of shape (n,), default=None
        How many pixels each of them stands for.

    Returns
    -------
    ZoomoutNet
        On standardized features, ready to predict.

    Raises
    ------
    ValueError
        If the loss becomes NaN or infinite.
    """
    import torch

    from ..classifier._net import ZoomoutNet

    scale = features.std(axis=0, dtype=np.float64)
    net = ZoomoutNet(
        features.shape[1],
        hidden_units,
        n_classes,
        dropout=dropout,
        mean=features.mean(axis=0, dtype=np.float64),
        scale=np.where(scale > 0, scale, 1),
        random_state=seed,
    )
    x, y = torch.from_numpy(features), torch.from_numpy(target)
    weights = np.ones(len(x)) if shares is None else shares / shares.mean()
    weight = torch.from_numpy(weights.astype(np.float32))
    generator = torch.Generator().manual_seed(seed)
    optimizer = torch.optim.AdamW(
        net.parameters(), weight_decay=_WEIGHT_DECAY, fused=True
    )
    with one_thread():
        for step in range(steps):
            rate = learning_rate * one_cycle((step + 0.5) / steps)
            optimizer.param_groups[0]["lr"] = rate
            rows = torch.randint(len(x), (_BATCH_SIZE,), generator=generator)
            losses = torch.nn.functional.cross_entropy(
                net(x[rows]), y[rows], reduction="none"
            )
            loss = (losses * weight[rows]).mean()
            if not loss.isfinite():
                raise ValueError(
                    f"pixels: the training loss became {loss.item()} in step "
                    f"{step + 1} of {steps}; the values of the images are too large or "
                    "too far apart for float32; scale the images, or pass value_range."
                )
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    return net.requires_grad_(False).eval()
