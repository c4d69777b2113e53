"""The learned local level: what it learns from, and what it must not see."""

import copy
import pickle

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import FeatureUnion, Pipeline

torch = pytest.importorskip("torch")

from sklearn_zoomout import (  # noqa: E402
    LocalConvnetFeatures,
    LocalFeatures,
    SegmentedImage,
    Superpixels,
    SuperpixelSegmenter,
    Training,
    ZoomoutClassifier,
    mark_unlabeled,
)
from sklearn_zoomout.exceptions import (  # noqa: E402
    AbsentClassWarning,
    EmptyMaskWarning,
)
from sklearn_zoomout.features import _local_net  # noqa: E402
from sklearn_zoomout.features._local_net import LocalNet  # noqa: E402
from sklearn_zoomout.labels import superpixel_labels  # noqa: E402

TINY = {"max_steps": 2, "batch_size": 8}


def make_level(background=None, *, training=None, **options):
    """Make a level whose networks are trained for a few steps."""
    training = Training(**(training or TINY))
    options = {"training": training, "random_state": 0} | options
    return LocalConvnetFeatures(background, **options)


def values(table):
    return table.to_numpy()


def true_labels(superpixels, masks):
    """Return the labels of all superpixels."""
    pairs = zip(superpixels, masks, strict=True)
    return np.concatenate([superpixel_labels(*pair) for pair in pairs])


@pytest.fixture(scope="module")
def colored(make_patches):
    """Eight images whose superpixels have the color of their label."""
    return make_patches(np.random.default_rng(0).integers(3, size=(8, 12)))


@pytest.mark.parametrize(
    ("n_classes", "backgrounds", "n_local"),
    [(21, [None, 0], 1841), (8, [None], 1826)],
)
def test_local_level_has_the_width_of_the_paper(
    make_patches, n_classes, backgrounds, n_local
):
    """1,818 + 21 + 2 on PASCAL VOC, 1,818 + 8 on Stanford Background."""
    superpixels, masks = make_patches(np.arange(24).reshape(2, 12) % n_classes)
    union = FeatureUnion([(f"net {b}", make_level(b)) for b in backgrounds])
    table = union.fit_transform(superpixels, masks)
    assert 1818 + table.n_columns == n_local
    assert len(set(table.columns)) == table.n_columns
    assert f"local_convnet__class_{n_classes - 1}" in table.columns


def test_network_learns_colors(colored):
    """On new images the outputs are probabilities that tell the classes."""
    superpixels, masks = colored
    features = make_level(training={"max_steps": 20, "batch_size": 16})
    features.fit(superpixels[:6], masks[:6])
    proba = values(features.transform(superpixels[6:]))
    np.testing.assert_allclose(proba.sum(axis=1), 1, rtol=1e-5)
    truth = true_labels(superpixels[6:], masks[6:])
    assert np.mean(features.classes_[proba.argmax(axis=1)] == truth) > 0.9


def test_outputs_on_training_images_do_not_leak_labels(make_patches):
    """Random labels cannot be predicted out of fold, but much so with cv=None."""
    labels = np.random.default_rng(1).integers(2, size=(8, 12))
    superpixels, masks = make_patches(labels, noise=1.0)
    right = {}
    for cv in (2, None):
        features = make_level(cv=cv, training={"max_steps": 60, "batch_size": 12})
        proba = values(features.fit_transform(superpixels, masks))
        right[cv] = np.mean(proba.argmax(axis=1) == labels.ravel())
    assert right[None] > 0.75
    assert right[2] < 0.65  # of 96 fair coins, above that three times in a thousand


def with_net(features, net):
    """Return a copy of the features with another network."""
    features = copy.copy(features)
    features.net_ = net
    return features


def test_each_fold_has_a_network_of_its_own(colored, monkeypatch):
    """Four networks are trained on six images each, and describe two images each."""
    superpixels, masks = colored
    trained = []
    train = _local_net.train_local_net

    def record(patches, *args, **kwargs):
        net = train(patches, *args, **kwargs)
        trained.append((net, len(patches)))
        return net

    monkeypatch.setattr(_local_net, "train_local_net", record)
    features = make_level(cv=4, training={"max_steps": 3, "batch_size": 96})
    out_of_fold = values(features.fit_transform(superpixels, masks))
    assert [n for _, n in trained] == [96, 72, 72, 72, 72]
    assert features.net_ is trained[0][0]
    # Outputs identify the network that they come from.
    same = np.array(
        [
            [
                np.allclose(one, other, atol=1e-6)
                for one, other in zip(
                    np.split(out_of_fold, 8),
                    np.split(values(with_net(features, net).transform(superpixels)), 8),
                    strict=True,
                )
            ]
            for net, _ in trained[1:]
        ]
    )
    np.testing.assert_array_equal(same.sum(axis=0), np.ones(8))
    np.testing.assert_array_equal(same.sum(axis=1), np.full(4, 2))


def test_fit_transform_trains_the_network_of_fit(colored):
    """transform does not depend on how the level was fitted."""
    superpixels, masks = colored
    apart, together = make_level().fit(superpixels, masks), make_level()
    out_of_fold = values(together.fit_transform(superpixels, masks))
    expected = values(apart.transform(superpixels))
    np.testing.assert_array_equal(values(together.transform(superpixels)), expected)
    assert not np.allclose(out_of_fold, expected)
    assert together.n_features_out_ == apart.n_features_out_ == 3


def test_seed_repeats_everything(colored):
    """Equal seeds make equal folds and networks, other seeds make others."""
    tables = [
        values(make_level(random_state=seed).fit_transform(*colored))
        for seed in (0, 0, 1)
    ]
    np.testing.assert_array_equal(tables[0], tables[1])
    assert not np.allclose(tables[0], tables[2])


def test_unlabeled_superpixels_are_not_trained_on(colored, monkeypatch):
    """Only patches with a label are cut."""
    superpixels, masks = colored
    masks = [mask.copy() for mask in masks]
    for mask in masks:
        mask[:, 12:] = 255
    seen = []
    monkeypatch.setattr(
        _local_net, "train_local_net", lambda *args, **_: seen.append(args)
    )
    level = make_level(training={"max_steps": 9})
    level.fit(superpixels, mark_unlabeled(masks, 255))
    ((patches, targets, _),) = seen
    assert len(patches) == len(targets) == 2 * 8
    np.testing.assert_array_equal(
        targets, np.concatenate([mask[[0, 12], 0] for mask in masks])
    )


def test_an_image_without_a_label_is_described_by_the_network_of_all(colored):
    """No network was trained on it; the three others are left out one by one."""
    superpixels, masks = colored
    masks = [masks[0], np.full_like(masks[1], -1), *masks[2:4]]
    features = make_level(cv=5)
    with pytest.warns(EmptyMaskWarning, match=r"masks\[1\]"):
        table = features.fit_transform(superpixels[:4], masks)
    expected = features.transform(superpixels[:4])
    same = [
        np.array_equal(values(a), values(b))
        for a, b in zip(table, expected, strict=True)
    ]
    assert same == [False, True, False, False]


def test_a_class_that_is_absent_from_a_fold_keeps_its_column(make_patches):
    """The network of a fold cannot know the class of the image left out."""
    labels = np.repeat([[3], [5], [9]], 12, axis=1)
    superpixels, masks = make_patches(labels)
    features = make_level(training={"max_steps": 20, "batch_size": 8})
    table = features.fit_transform(superpixels, masks)
    assert table.columns == [f"local_convnet__class_{c}" for c in (3, 5, 9)]
    for own, image in enumerate(table):
        assert np.all(values(image)[:, own] < 0.2)


def test_a_declared_class_keeps_its_column(colored):
    """A class without a superpixel has a column; a warning names it."""
    features = make_level(classes=[0, 1, 2, 7], cv=None)
    with pytest.warns(AbsentClassWarning, match=r"\[7\]"):
        table = features.fit_transform(*colored)
    assert table.columns[-1] == "local_convnet__class_7"


def test_foreground_is_any_class_but_the_background(colored):
    """There are two columns, in this order, for any label of the background."""
    superpixels, masks = colored
    masks = [mask + 4 for mask in masks]
    features = make_level(5, cv=None, training={"max_steps": 20, "batch_size": 16})
    table = features.fit_transform(superpixels, masks)
    assert table.columns == [
        "local_foreground__background",
        "local_foreground__foreground",
    ]
    found = values(table)[:, 0] > 0.5
    assert np.mean(found == (true_labels(superpixels, masks) == 5)) > 0.9


def test_a_balanced_loss_finds_more_of_a_rare_class(make_patches):
    """Where colors tell little, the plain loss predicts the frequent class."""
    labels = (np.arange(96).reshape(8, 12) % 8 == 0).astype(int)
    superpixels, masks = make_patches(labels, noise=1.0)
    rare = {}
    for class_weight in (None, 0, 0.5, 1, "balanced"):
        training = {"max_steps": 10, "batch_size": 32, "class_weight": class_weight}
        level = make_level(cv=None, training=training)
        table = level.fit_transform(superpixels, masks)
        rare[class_weight] = values(table)[:, 1].mean()
    assert rare[None] < 0.3 < rare["balanced"]
    assert rare[None] < rare[0.5] < rare["balanced"]
    assert (rare[0], rare[1]) == (rare[None], rare["balanced"])


def test_a_pipeline_is_scored_cloned_and_pickled(images, masks):
    """Two networks beside crafted features, in a pipeline of scikit-learn."""
    levels = [
        ("crafted", LocalFeatures(descriptors=("color",))),
        ("convnet", make_level(cv=2)),
        ("foreground", make_level(0)),
    ]
    model = Pipeline(
        [
            ("superpixels", SuperpixelSegmenter(n_segments=20)),
            ("local", FeatureUnion(levels)),
            ("classifier", ZoomoutClassifier(learning_rate=1e-2, max_epochs=30)),
        ]
    )
    scores = cross_val_score(clone(model), images, masks, cv=2, error_score="raise")
    assert scores.shape == (2,) and np.all(scores > 0.3)
    model.fit(images, masks)
    restored = pickle.loads(pickle.dumps(model))
    for a, b in zip(model.predict(images), restored.predict(images), strict=True):
        np.testing.assert_array_equal(a, b)
    names = model[:-1].get_feature_names_out()
    assert list(names[-2:]) == ["foreground__background", "foreground__foreground"]


def test_the_parameters_of_training_can_be_set():
    """A grid search finds them by nested names."""
    level = make_level().set_params(training__max_steps=7, training__batch_size=3)
    assert level.training == Training(max_steps=7, batch_size=3)
    assert level.get_params()["training__max_steps"] == 7
    default = LocalConvnetFeatures().set_params(training__max_steps=7)
    assert default.training == Training(max_steps=7)
    with pytest.raises(ValueError, match=r"Training has no parameters \['steps'\]"):
        level.set_params(training__steps=7)


def test_single_pixels_are_described():
    """An image may be one pixel, and so may a superpixel."""
    ring = np.zeros((6, 7), dtype=int)
    ring[0] = np.arange(1, 8)
    ring[1:, 0] = np.arange(8, 13)
    rng = np.random.default_rng(0)
    superpixels = Superpixels(
        [
            SegmentedImage(rng.random((6, 7, 3)), ring),
            SegmentedImage(rng.random((1, 1, 3)), np.zeros((1, 1), dtype=int)),
        ]
    )
    table = make_level().fit_transform(superpixels, [ring % 2, np.array([[1]])])
    assert table.n_rows == 14
    assert np.isfinite(values(table)).all()


def test_uint8_and_float_images_have_equal_features(colored):
    """An image x and the image x / 255 are the same image."""
    superpixels, masks = colored
    as_bytes = [(255 * s.image).astype(np.uint8) for s in superpixels]
    tables = []
    for images in (as_bytes, [image / 255 for image in as_bytes]):
        pairs = zip(images, superpixels, strict=True)
        copies = Superpixels(SegmentedImage(x, s.segments) for x, s in pairs)
        tables.append(values(make_level().fit_transform(copies, masks)))
    np.testing.assert_array_equal(*tables)


def test_an_interrupt_leaves_nothing_fitted(colored, monkeypatch):
    """Ctrl-C is raised again, and the former fit is forgotten."""
    superpixels, masks = colored
    features = make_level().fit(superpixels, masks)

    def interrupt(*args):
        raise KeyboardInterrupt

    monkeypatch.setattr(LocalNet, "forward", interrupt)
    for fit in (features.fit, features.fit_transform):
        with pytest.raises(KeyboardInterrupt):
            fit(superpixels, masks)
        with pytest.raises(NotFittedError):
            features.transform(superpixels)


def test_a_device_that_is_missing_at_prediction(colored):
    """The level predicts on the CPU, and one warning says so."""
    features = make_level().fit(*colored)
    expected = values(features.transform(colored[0]))
    moved = pickle.loads(pickle.dumps(features)).set_params(device="cuda:77")
    with pytest.warns(UserWarning, match="no device 'cuda:77' here.*on the CPU") as got:
        np.testing.assert_array_equal(values(moved.transform(colored[0])), expected)
    assert len(got) == 1
    with pytest.raises(ValueError, match="device='cuda:77'"):
        moved.fit(*colored)


@pytest.mark.parametrize(
    ("n_rows", "n_steps"), [(100, 200), (64 * 300 + 1, 301), (300_000, 2000)]
)
def test_default_is_one_pass_within_bounds(n_rows, n_steps):
    """Few superpixels are shown several times, of very many only a part."""
    assert LocalConvnetFeatures()._n_steps(n_rows) == n_steps
    assert make_level(training={"max_steps": 7})._n_steps(n_rows) == 7


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_training_on_a_gpu(colored):
    """A network that was trained on a GPU predicts the same on the CPU."""
    features = make_level(device="cuda").fit(*colored)
    on_gpu = values(features.transform(colored[0]))
    on_cpu = values(features.set_params(device="cpu").transform(colored[0]))
    np.testing.assert_allclose(on_gpu, on_cpu, atol=1e-3)


def test_one_image_cannot_be_described_out_of_fold(colored):
    """The error proposes cv=None, which works, as fit does."""
    superpixels, masks = colored[0][:1], colored[1][:1]
    features = make_level()
    with pytest.raises(ValueError, match="two images with labels.*cv=None"):
        features.fit_transform(superpixels, masks)
    features.fit(superpixels, masks).transform(superpixels)
    features.set_params(cv=None).fit_transform(superpixels, masks)


@pytest.mark.parametrize(
    ("background", "change", "says"),
    [
        (0, lambda masks: [m + 1 for m in masks], "no background .*label 0"),
        (0, lambda masks: [0 * m for m in masks], "no foreground .*label 0"),
        (None, lambda masks: None, r"learns from label maps.*fit\(superpixels, masks"),
        (None, lambda masks: masks[:-1], "7 masks for 8 images"),
        (None, lambda masks: [masks[0][1:], *masks[1:]], r"masks\[0\]"),
        (None, lambda masks: [m * 0 for m in masks], "two classes"),
        (None, lambda masks: [m * 0 - 1 for m in masks], "got none in 8 masks"),
        (None, lambda masks: [masks[0] - 2, *masks[1:]], r"masks\[0\].*>= 0"),
    ],
)
def test_masks_that_cannot_be_learned_from(colored, background, change, says):
    """They must fit the images, and hold two classes."""
    for method in ("fit", "fit_transform"):
        with pytest.raises(ValueError, match=says):
            getattr(make_level(background), method)(colored[0], change(colored[1]))


@pytest.mark.parametrize(
    "params",
    [
        *({"background": value} for value in (-1, "sky")),
        *({"cv": value} for value in (1, 2.5, True)),
        *({"training": value} for value in (True, 500)),
        {"classes": [1]},
        {"device": "abacus"},
        {"random_state": "seed"},
    ],
    ids=lambda params: "-".join(params),
)
def test_wrong_parameters_are_refused(colored, params):
    """Errors name the parameter, in fit and in fit_transform."""
    (name,) = params
    for method in ("fit", "fit_transform"):
        with pytest.raises(ValueError, match=name):
            getattr(LocalConvnetFeatures(**params), method)(*colored)
