"""Tables in files: read when rows are used, refused when they are damaged."""

import pickle

import numpy as np
import pytest
from sklearn.model_selection import cross_val_score

from sklearn_zoomout import (
    GraphSmoothing,
    ZoomoutClassifier,
    open_features,
    store_features,
)
from sklearn_zoomout.datasets import FileSequence


def test_views_are_those_of_a_table_in_memory(features, images, in_memory, folder):
    """Indexing, also twice, selecting and stacking return the right rows, uncopied."""
    table = store_features(features, images, folder)
    view, expected = table[[3, 1, 0]][[2, 0]], in_memory[[0, 3]]
    np.testing.assert_array_equal(view.to_numpy(), expected.to_numpy())
    np.testing.assert_array_equal(
        view.superpixels[1].segments, expected.superpixels[1].segments
    )
    assert view.superpixels[-1].shape == images[3].shape[:2]
    assert len(view.superpixels[1:]) == 1
    with pytest.raises(IndexError):
        view.superpixels[2]
    parts = [table.select([name]) for name in ("size", "local")]
    again = np.concatenate(parts, axis=1)
    assert again.blocks[0].values is table.blocks[1].values


def test_pixels_are_read_from_the_images(features, images, folder):
    """They are read when they are used. Another image in their place is an error."""
    store_features(features, images, folder)
    table = open_features(folder)
    assert table.superpixels[0].areas.sum() == images[0].shape[0] * images[0].shape[1]
    with pytest.raises(ValueError, match=r"open_features\(folder, images\)"):
        _ = table.superpixels[1].image
    table = open_features(folder, images)[[2, 1]]
    np.testing.assert_array_equal(table.superpixels[0].image, images[2])
    table = open_features(folder, images[::-1])
    with pytest.raises(ValueError, match=r"images\[0\]: expected the image whose"):
        _ = table.superpixels[0].rgb
    with pytest.raises(ValueError, match="expected the 4 images .* got 3"):
        open_features(folder, images[:3])


def test_a_pickle_contains_names_of_files_and_no_values(features, images, folder):
    """This holds for a view, too, and the unpickled view has the same rows."""
    store_features(features, images, folder)
    view = open_features(folder)[[2, 0]]
    _ = view.n_rows, view.image_of_row, view.superpixels
    content = pickle.dumps(view)
    names = len(pickle.dumps(view.columns))
    assert len(content) < names + 4000 < view.to_numpy().nbytes / 4
    again = pickle.loads(content)
    assert type(again.blocks[0].values) is np.memmap
    np.testing.assert_array_equal(again.to_numpy(), view.to_numpy())
    item = pickle.loads(pickle.dumps(view.superpixels[1]))
    np.testing.assert_array_equal(item.segments, view.superpixels[1].segments)


def test_a_classifier_learns_from_files_as_from_memory(
    features, images, masks, in_memory, folder
):
    """Fit, predict, score, smoothing and cross-validation accept a table in files."""
    table = store_features(features, images, folder)
    classifier = ZoomoutClassifier((8,), max_epochs=200, random_state=0)
    predictions = classifier.fit(table, masks).predict(table)
    for prediction, other in zip(
        predictions, classifier.predict(in_memory), strict=True
    ):
        np.testing.assert_array_equal(prediction, other)
    assert classifier.score(table, masks) > 0.5
    np.testing.assert_allclose(classifier.mean_, in_memory.mean_and_scale()[0])
    smoothing = GraphSmoothing(classifier)
    assert smoothing.fit(table, masks).predict(table)[0].shape == masks[0].shape
    fast = ZoomoutClassifier((4,), max_epochs=2, random_state=0)
    assert np.isfinite(cross_val_score(fast, table, masks, cv=2)).all()


def test_masks_can_be_in_files_too(features, images, masks, folder, tmp_path):
    """Masks in files give the same network as masks in memory."""
    table = store_features(features, images, folder)
    for i, mask in enumerate(masks):
        np.save(tmp_path / f"{i}.npy", mask)
    files = FileSequence(np.load, [tmp_path / f"{i}.npy" for i in range(len(masks))])
    nets = [
        ZoomoutClassifier((4,), max_epochs=2, random_state=0).fit(table, y)
        for y in (masks, files)
    ]
    for one, other in zip(*(n.net_.module_.parameters() for n in nets), strict=True):
        assert (one == other).all()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "cannot be read"),
        (b"[]", "cannot be read"),
        (b'{"format": 4}', "cannot be read"),
        (b'{"format": 3}', "expected format 4, got 3.*compute the features again"),
        (b"\x80\x04.", "cannot be read"),
        (b"[" * 100_000, "cannot be read"),
    ],
)
def test_a_manifest_of_another_format_is_refused(
    features, images, folder, content, message
):
    """Its content is not executed, and the error names the file."""
    store_features(features, images, folder)
    (folder / "manifest.json").write_bytes(content)
    with pytest.raises(ValueError, match=rf"manifest\.json.*{message}"):
        open_features(folder)
