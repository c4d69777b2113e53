"""The local convnet: its shape, what it learns from, and what it must not see."""

import copy
import pickle

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import FeatureUnion, Pipeline

from sklearn_zoomout import (
    LocalConvnetFeatures,
    LocalFeatures,
    SegmentedImage,
    Superpixels,
    SuperpixelSegmenter,
    ZoomoutClassifier,
)
from sklearn_zoomout._rows import draw_evenly
from sklearn_zoomout.exceptions import AbsentClassWarning, EmptyMaskWarning
from sklearn_zoomout.features import _local_net
from sklearn_zoomout.features._local_net import LocalNet
from sklearn_zoomout.labels import superpixel_labels

TINY = {"max_steps": 2, "batch_size": 8, "random_state": 0}


def make_patches(labels, seed=0, noise=0.0):
    """One image of 12 x 12 superpixels for each row of labels, with its masks.

    The color of a superpixel tells its label, unless there is noise.
    """
    rng = np.random.default_rng(seed)
    segments = np.kron(np.arange(labels.shape[1]).reshape(-1, 6), np.ones((12, 12)))
    segments = segments.astype(int)
    colors = rng.random((labels.max() + 1, 3))
    items, masks = [], []
    for row in labels:
        image = (1 - noise) * colors[row][segments]
        image = image + noise * rng.random(image.shape)
        items.append(SegmentedImage(image, segments))
        masks.append(row[segments])
    return Superpixels(items), masks


def values(table):
    """Return the numbers of a table."""
    return table.to_numpy()


@pytest.fixture(scope="module")
def colored():
    """Eight images whose superpixels' labels show in their colors."""
    return make_patches(np.random.default_rng(0).integers(3, size=(8, 12)))


def test_network_has_the_shape_of_the_paper():
    """576 values enter layers of 1,152, as section 4.2.1 and its input imply."""
    net = LocalNet(21, mean=[50, 0, 0], scale=[20, 10, 10], random_state=0)
    shapes = []
    for layer in (*net.convolutions, *net.dense):
        layer.register_forward_hook(
            lambda _, inputs, output: shapes.append((inputs[0].shape, output.shape))
        )
    net(torch.zeros(2, 3, 25, 25))
    assert shapes == [
        ((2, 3, 35, 35), (2, 32, 35, 35)),
        ((2, 32, 17, 17), (2, 32, 17, 17)),
        ((2, 32, 8, 8), (2, 64, 8, 8)),
        ((2, 576), (2, 1152)),
        ((2, 1152), (2, 1152)),
        ((2, 1152), (2, 21)),
    ]
    assert {layer.kernel_size for layer in net.convolutions} == {(5, 5)}


def test_network_pads_standardized_patches_with_zeros():
    """A patch of the mean color is zero everywhere, and so is its border."""
    net = LocalNet(2, mean=[50, 3, -4], scale=[20, 10, 5], random_state=0)
    seen = []
    net.convolutions[0].register_forward_hook(lambda _, x, __: seen.append(x[0]))
    patch = torch.tensor([70.0, 3.0, -4.0])[:, None, None].expand(3, 25, 25)
    net(patch[None])
    expected = torch.zeros(1, 3, 35, 35)
    expected[:, 0, 5:30, 5:30] = 1
    torch.testing.assert_close(seen[0], expected)


@pytest.mark.parametrize(
    ("n_classes", "targets", "n_local"),
    [(21, ["classes", "foreground"], 1841), (8, ["classes"], 1826)],
)
def test_local_level_has_the_width_of_the_paper(n_classes, targets, n_local):
    """1,818 + 21 + 2 on PASCAL VOC, 1,818 + 8 on Stanford Background."""
    superpixels, masks = make_patches(np.arange(24).reshape(2, 12) % n_classes)
    union = FeatureUnion([(t, LocalConvnetFeatures(t, **TINY)) for t in targets])
    table = union.fit_transform(superpixels, masks)
    assert 1818 + table.n_columns == n_local
    assert len(set(table.columns)) == table.n_columns
    assert f"local_convnet__class_{n_classes - 1}" in table.columns


def test_network_learns_colors(colored):
    """On images that it never saw, the outputs are probabilities that find classes."""
    superpixels, masks = colored
    features = LocalConvnetFeatures(max_steps=20, batch_size=16, random_state=0)
    features.fit(superpixels[:6], masks[:6])
    proba = values(features.transform(superpixels[6:]))
    np.testing.assert_allclose(proba.sum(axis=1), 1, rtol=1e-5)
    truth = np.concatenate(
        [
            superpixel_labels(s, m)
            for s, m in zip(superpixels[6:], masks[6:], strict=True)
        ]
    )
    assert np.mean(features.classes_[proba.argmax(axis=1)] == truth) > 0.9


def test_outputs_on_training_images_are_honest():
    """Of random labels nothing is known out of fold, but much by the leaking way."""
    labels = np.random.default_rng(1).integers(2, size=(8, 12))
    superpixels, masks = make_patches(labels, noise=1.0)
    right = {}
    for cv in (2, None):
        features = LocalConvnetFeatures(
            cv=cv, max_steps=30, batch_size=32, random_state=0
        )
        proba = values(features.fit_transform(superpixels, masks))
        right[cv] = np.mean(proba.argmax(axis=1) == labels.ravel())
    assert right[None] > 0.75
    assert right[2] < 0.65  # of 96 fair coins, above that three times in a thousand


def test_each_fold_has_a_network_of_its_own(colored, monkeypatch):
    """Four networks, trained on six images each, describe two images each."""
    superpixels, masks = colored
    trained = []
    original = _local_net.train_local_net

    def remember(patches, *args, **kwargs):
        net = original(patches, *args, **kwargs)
        trained.append((net, len(patches)))
        return net

    monkeypatch.setattr(_local_net, "train_local_net", remember)
    features = LocalConvnetFeatures(cv=4, max_steps=3, batch_size=96, random_state=0)
    out_of_fold = values(features.fit_transform(superpixels, masks))
    assert [n for _, n in trained] == [96, 72, 72, 72, 72]
    assert features.net_ is trained[0][0]
    # A network is known again by its outputs; each of the four describes two images.
    per_net = [
        values(set_net(features, net).transform(superpixels)) for net, _ in trained[1:]
    ]
    same = np.array(
        [
            [
                np.allclose(a, b, atol=1e-6)
                for a, b in zip(
                    np.split(out_of_fold, 8), np.split(proba, 8), strict=True
                )
            ]
            for proba in per_net
        ]
    )
    np.testing.assert_array_equal(same.sum(axis=0), np.ones(8))
    np.testing.assert_array_equal(same.sum(axis=1), np.full(4, 2))


def set_net(features, net):
    """Return a copy of the features with another network."""
    features = copy.copy(features)
    features.net_ = net
    return features


def test_fit_transform_trains_the_network_of_fit(colored):
    """What transform gives later does not depend on how the estimator was fitted."""
    superpixels, masks = colored
    apart = LocalConvnetFeatures(**TINY).fit(superpixels, masks)
    together = LocalConvnetFeatures(**TINY)
    out_of_fold = values(together.fit_transform(superpixels, masks))
    expected = values(apart.transform(superpixels))
    np.testing.assert_array_equal(values(together.transform(superpixels)), expected)
    assert not np.allclose(out_of_fold, expected)
    assert together.n_features_out_ == apart.n_features_out_ == 3


def test_seed_repeats_everything(colored):
    """The same seed gives the same folds and networks, another one others."""
    superpixels, masks = colored
    tables = [
        values(
            LocalConvnetFeatures(**TINY | {"random_state": seed}).fit_transform(
                superpixels, masks
            )
        )
        for seed in (0, 0, 1)
    ]
    np.testing.assert_array_equal(tables[0], tables[1])
    assert not np.allclose(tables[0], tables[2])


def test_void_superpixels_are_not_trained_on(colored, monkeypatch):
    """Only patches with a label are cut; those of void superpixels get outputs."""
    superpixels, masks = colored
    masks = [mask.copy() for mask in masks]
    for mask in masks:
        mask[:, 12:] = 255
    seen = []

    def look(patches, targets, *args, **kwargs):
        seen.append((patches, targets))

    monkeypatch.setattr(_local_net, "train_local_net", look)
    LocalConvnetFeatures(void_label=255, max_steps=9, random_state=0).fit(
        superpixels, masks
    )
    ((patches, targets),) = seen
    assert len(patches) == len(targets) == 2 * 8
    np.testing.assert_array_equal(
        targets, np.concatenate([mask[[0, 12], 0] for mask in masks])
    )


def test_image_without_a_label_is_described_by_the_network_of_all(colored):
    """It took no part in training, so that is honest; it makes no fold smaller."""
    superpixels, masks = colored
    masks = [masks[0], np.full_like(masks[1], -1), *masks[2:4]]
    features = LocalConvnetFeatures(cv=5, **TINY)
    with pytest.warns(EmptyMaskWarning, match=r"masks\[1\]"):
        table = features.fit_transform(superpixels[:4], masks)
    expected = features.transform(superpixels[:4])
    same = [
        np.array_equal(values(a), values(b))
        for a, b in zip(table, expected, strict=True)
    ]
    assert same == [False, True, False, False]


def test_class_that_is_absent_from_a_fold_keeps_its_column():
    """Each image has a class of its own, which the others' network cannot know."""
    labels = np.repeat([[3], [5], [9]], 12, axis=1)
    superpixels, masks = make_patches(labels)
    features = LocalConvnetFeatures(max_steps=20, batch_size=8, random_state=0)
    table = features.fit_transform(superpixels, masks)
    assert table.columns == [f"local_convnet__class_{c}" for c in (3, 5, 9)]
    for own, image in enumerate(table):
        assert np.all(values(image)[:, own] < 0.2)


def test_declared_class_keeps_its_column(colored):
    """A class without a superpixel has a column, and warns."""
    superpixels, masks = colored
    features = LocalConvnetFeatures(classes=[0, 1, 2, 7], cv=None, **TINY)
    with pytest.warns(AbsentClassWarning, match=r"\[7\]"):
        table = features.fit_transform(superpixels, masks)
    assert table.columns[-1] == "local_convnet__class_7"


def test_foreground_is_any_class_but_the_background(colored):
    """Two outputs, in this order, whatever the labels are called."""
    superpixels, masks = colored
    masks = [mask + 4 for mask in masks]
    features = LocalConvnetFeatures(
        "foreground",
        background=5,
        cv=None,
        max_steps=20,
        batch_size=16,
        random_state=0,
    )
    table = features.fit_transform(superpixels, masks)
    assert table.columns == [
        "local_foreground__background",
        "local_foreground__foreground",
    ]
    truth = [superpixel_labels(*pair) for pair in zip(superpixels, masks, strict=True)]
    found = values(table)[:, 0] > 0.5
    assert np.mean(found == (np.concatenate(truth) == 5)) > 0.9


def test_balanced_loss_finds_more_of_a_rare_class():
    """Where colors tell little, the plain loss says the frequent class."""
    labels = (np.arange(96).reshape(8, 12) % 8 == 0).astype(int)
    superpixels, masks = make_patches(labels, noise=1.0)
    rare = {
        class_weight: values(
            LocalConvnetFeatures(
                class_weight=class_weight,
                cv=None,
                max_steps=10,
                batch_size=32,
                random_state=0,
            ).fit_transform(superpixels, masks)
        )[:, 1].mean()
        for class_weight in (None, 0, 0.5, 1, "balanced")
    }
    assert rare[None] < 0.3 < rare["balanced"]
    assert rare[None] < rare[0.5] < rare["balanced"]
    assert (rare[0], rare[1]) == (rare[None], rare["balanced"])


def test_pipeline_is_scored_cloned_and_pickled(images, masks):
    """Two networks beside crafted features, in a pipeline of scikit-learn."""
    model = Pipeline(
        [
            ("superpixels", SuperpixelSegmenter(n_segments=20)),
            (
                "local",
                FeatureUnion(
                    [
                        ("crafted", LocalFeatures(descriptors=("color",))),
                        ("convnet", LocalConvnetFeatures(cv=2, **TINY)),
                        ("foreground", LocalConvnetFeatures("foreground", **TINY)),
                    ]
                ),
            ),
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


def test_single_pixels_are_described():
    """An image of one pixel, and superpixels of one pixel in a ring."""
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
    masks = [ring % 2, np.array([[1]])]
    table = LocalConvnetFeatures(**TINY).fit_transform(superpixels, masks)
    assert table.n_rows == 14
    assert np.isfinite(values(table)).all()


def test_color_alone_is_the_input(colored):
    """uint8 images and the same images as floats give the same features."""
    superpixels, masks = colored
    as_bytes = [(255 * s.image).astype(np.uint8) for s in superpixels]
    tables = [
        values(
            LocalConvnetFeatures(**TINY).fit_transform(
                Superpixels(
                    SegmentedImage(image, s.segments)
                    for image, s in zip(images, superpixels, strict=True)
                ),
                masks,
            )
        )
        for images in (as_bytes, [image / 255 for image in as_bytes])
    ]
    np.testing.assert_array_equal(*tables)


def test_interrupt_leaves_nothing_fitted(colored, monkeypatch):
    """Ctrl-C is raised again, and what was fitted before is forgotten."""
    superpixels, masks = colored
    features = LocalConvnetFeatures(**TINY).fit(superpixels, masks)

    def interrupt(*args):
        raise KeyboardInterrupt

    monkeypatch.setattr(LocalNet, "forward", interrupt)
    for fit in (features.fit, features.fit_transform):
        with pytest.raises(KeyboardInterrupt):
            fit(superpixels, masks)
        with pytest.raises(NotFittedError):
            features.transform(superpixels)


def test_loss_that_is_not_finite_is_refused(colored):
    """Too long steps are an error, not a network of NaN."""
    features = LocalConvnetFeatures(learning_rate=1e30, **TINY)
    with pytest.raises(ValueError, match="became .* in step .* lower learning_rate"):
        features.fit(*colored)
    with pytest.raises(NotFittedError):
        features.transform(colored[0])


def test_device_that_is_gone_at_prediction(colored):
    """Where its device does not exist, it predicts on the CPU and says so once."""
    features = LocalConvnetFeatures(**TINY).fit(*colored)
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
    """Few superpixels are shown again and again, of very many only a part."""
    assert LocalConvnetFeatures()._n_steps(n_rows) == n_steps
    assert LocalConvnetFeatures(max_steps=7)._n_steps(n_rows) == 7


def test_rows_are_drawn_in_passes():
    """None is drawn a third time before all were drawn twice."""
    drawn = draw_evenly(10, 25, np.random.default_rng(0))
    for start in (0, 10):
        assert sorted(drawn[start : start + 10]) == list(range(10))
    assert len(set(drawn[20:])) == 5


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_training_on_a_gpu(colored):
    """What was trained on a GPU predicts the same without it."""
    features = LocalConvnetFeatures(device="cuda", **TINY).fit(*colored)
    on_gpu = values(features.transform(colored[0]))
    on_cpu = values(features.set_params(device="cpu").transform(colored[0]))
    np.testing.assert_allclose(on_gpu, on_cpu, atol=1e-3)


def test_missing_masks_are_refused(superpixels):
    """It learns from labels, so fit(X) says what is missing."""
    for method in ("fit", "fit_transform"):
        with pytest.raises(ValueError, match=r"learns from label maps.*fit\(superp"):
            getattr(LocalConvnetFeatures(), method)(superpixels)


def test_one_image_cannot_be_described_out_of_fold(colored):
    """The error proposes cv=None, which works, as fit does."""
    superpixels, masks = colored[0][:1], colored[1][:1]
    features = LocalConvnetFeatures(**TINY)
    with pytest.raises(ValueError, match="two images with labels.*cv=None"):
        features.fit_transform(superpixels, masks)
    features.fit(superpixels, masks).transform(superpixels)
    features.set_params(cv=None).fit_transform(superpixels, masks)


def test_fewer_images_than_folds_are_left_out_one_by_one(colored):
    """Of two images, each is described by a network of the other."""
    table = LocalConvnetFeatures(cv=10, **TINY).fit_transform(
        colored[0][:2], colored[1][:2]
    )
    assert len(table) == 2


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda masks: [m + 1 for m in masks], "no background .*label 0"),
        (lambda masks: [0 * m for m in masks], "no foreground .*label 0"),
    ],
)
def test_foreground_needs_both(colored, change, says):
    """The error tells which one is missing, and which label is the background."""
    with pytest.raises(ValueError, match=says):
        LocalConvnetFeatures("foreground").fit(colored[0], change(colored[1]))


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda masks: masks[:-1], "7 masks for 8 images"),
        (lambda masks: [masks[0][1:], *masks[1:]], r"masks\[0\]"),
        (lambda masks: [m * 0 for m in masks], "two classes"),
        (lambda masks: [m * 0 - 1 for m in masks], "void label -1"),
        (lambda masks: [masks[0] - 2, *masks[1:]], r"masks\[0\].*>= 0"),
    ],
)
def test_wrong_masks_are_refused(colored, change, says):
    """Masks must fit the images and hold two classes."""
    with pytest.raises(ValueError, match=says):
        LocalConvnetFeatures().fit_transform(colored[0], change(colored[1]))


@pytest.mark.parametrize(
    "params",
    [
        {"targets": "foregrounds"},
        {"background": -1},
        {"cv": 1},
        {"cv": 2.5},
        {"cv": True},
        {"class_weight": {0: 1.0}},
        {"class_weight": 1.5},
        {"class_weight": True},
        {"max_steps": 0},
        {"batch_size": 0},
        {"learning_rate": 0},
        {"weight_decay": -1},
        {"classes": [1]},
        {"void_label": -2},
        {"device": "abacus"},
        {"random_state": "seed"},
    ],
    ids=lambda params: "-".join(params),
)
def test_wrong_parameters_are_refused(colored, params):
    """Errors name the parameter, in fit as in fit_transform."""
    (name,) = params
    for method in ("fit", "fit_transform"):
        with pytest.raises(ValueError, match=name):
            getattr(LocalConvnetFeatures(**params), method)(*colored)


def test_images_instead_of_superpixels_are_refused(images, masks):
    """The error says which step is missing."""
    with pytest.raises(TypeError, match="SuperpixelSegmenter"):
        LocalConvnetFeatures().fit_transform(images, masks)
