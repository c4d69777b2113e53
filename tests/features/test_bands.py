"""Features of images whose channels are not red, green and blue."""

import numpy as np
import pytest

from sklearn_zoomout import (
    Backbone,
    ConvnetRegionFeatures,
    ConvnetSuperpixelFeatures,
    FineTuning,
    GlobalFeatures,
    LocalConvnetFeatures,
    LocalFeatures,
    ProximalFeatures,
    SuperpixelSegmenter,
    ZoomoutUnion,
)
from sklearn_zoomout.descriptors import filter_responses
from sklearn_zoomout.features._dictionaries import _draw_from_image

LEVELS = {
    "distant": lambda **options: ConvnetRegionFeatures(input_size=96, **options),
    "crop": lambda **options: ConvnetRegionFeatures(
        pooling="crop", crop_size=64, **options
    ),
    "global": lambda **options: GlobalFeatures(crop_size=64, **options),
    "maps": lambda **options: ConvnetSuperpixelFeatures(input_size=96, **options),
}
TRIPLES = [(0, 1, 2), (3, 3, 3)]


@pytest.fixture(scope="module")
def bands(images):
    """Images of five bands; the first three are those of RGB images."""
    return [np.dstack([image, 255 - image[..., :2]]) for image in images[:2]]


@pytest.fixture
def superpixels(bands):
    """Their superpixels."""
    return SuperpixelSegmenter(n_segments=12).fit_transform(bands)


def gray_and_rgb(bands, superpixels, convert):
    """Return the superpixels of the same shapes for other images."""
    maps = iter([segmented.segments for segmented in superpixels])
    segmenter = SuperpixelSegmenter(method=lambda image: next(maps))
    return segmenter.fit_transform([convert(image) for image in bands])


@pytest.mark.parametrize("make", LEVELS.values(), ids=LEVELS)
def test_networks_see_every_band_as_a_gray_image(make, bands, superpixels):
    """The columns of all bands lie side by side."""
    table = make().fit_transform(superpixels)
    n = table.n_columns // 5
    for band in (0, 4):
        gray = gray_and_rgb(bands, superpixels, lambda x, band=band: x[..., band])
        alone = make().fit_transform(gray)
        columns = slice(band * n, (band + 1) * n)
        np.testing.assert_array_equal(table.to_numpy()[:, columns], alone.to_numpy())
        block = table.block_names[0]
        names = [name.removeprefix(f"{block}__") for name in alone.columns]
        expected = [f"{block}__band{band}_{name}" for name in names]
        assert table.columns[columns] == expected


@pytest.mark.parametrize("make", LEVELS.values(), ids=LEVELS)
def test_networks_see_three_bands_as_colors(make, bands, superpixels):
    """As many triples as one likes, one after the other."""
    table = make(bands=TRIPLES).fit_transform(superpixels)
    rgb = make().fit_transform(gray_and_rgb(bands, superpixels, lambda x: x[..., :3]))
    gray = make().fit_transform(gray_and_rgb(bands, superpixels, lambda x: x[..., 3]))
    both = np.hstack([rgb.to_numpy(), gray.to_numpy()])
    np.testing.assert_array_equal(table.to_numpy(), both)
    n = rgb.n_columns
    assert "__bands0_1_2_" in table.columns[0] and "__band3_" in table.columns[n]


def test_levels_share_the_passes_of_every_band(superpixels, passes):
    """Two levels see two triples of two images in four passes, not in eight."""
    levels = [("a", LEVELS["distant"](bands=TRIPLES)), ("b", LEVELS["maps"]())]
    levels[1][1].set_params(bands=[*TRIPLES, (4, 4, 4)])
    union = ZoomoutUnion(levels, backbone="zoomnet").fit(superpixels)
    passes.clear()
    table = union.transform(superpixels)
    assert len(passes) == 2 * 3
    apart = [level.transform(superpixels).to_numpy() for _, level in levels]
    np.testing.assert_array_equal(table.to_numpy(), np.hstack(apart))


def test_bands_are_part_of_the_key_of_a_cache(superpixels, tmp_path):
    """Rows of other bands are not taken for these."""
    level = GlobalFeatures(crop_size=64, memory=tmp_path)
    tables = [
        level.set_params(bands=triples).fit_transform(superpixels).to_numpy()
        for triples in ([(0, 1, 2)], [(2, 1, 0)], [(0, 1, 2)])
    ]
    np.testing.assert_array_equal(tables[0], tables[2])
    assert not np.array_equal(tables[0], tables[1])
    assert len(list(tmp_path.rglob("*.npy"))) == 4


@pytest.mark.parametrize(
    "wrong",
    [[], [(0, 1)], [(0, 1, 5)], [(0, 1, -1)], [(0, 1, 2.0)], [(0, True, 2)], [3]],
)
def test_bands_must_be_triples_of_bands_that_exist(wrong, superpixels):
    """The error says how many there are."""
    with pytest.raises(ValueError, match=r"bands: global expected.*0\.\.4.*5 channels"):
        GlobalFeatures(bands=wrong).fit(superpixels)


def test_images_without_the_bands_of_fit_are_refused(superpixels, images):
    """Also those that did not pass the segmenter of fit."""
    rgb = SuperpixelSegmenter(n_segments=12).fit_transform(images[:1])
    with pytest.raises(ValueError, match="image: expected at least 5 channels.*got 3"):
        GlobalFeatures().fit(superpixels).transform(rgb)
    with pytest.raises(ValueError, match="image: expected RGB or gray, got 5 bands"):
        GlobalFeatures().fit(rgb).transform(superpixels)
    color = LocalFeatures(descriptors=("color",)).fit(superpixels)
    with pytest.raises(ValueError, match="local: expected images of 5 bands.*got RGB"):
        color.transform(rgb)


def test_what_learns_from_colors_refuses_bands(superpixels, masks):
    """Fine-tuning and the local convnet say what to do."""
    tuned = Backbone(fine_tune=FineTuning(max_steps=1))
    with pytest.raises(ValueError, match="maps: fine_tune.*got bands.*fine_tune=None"):
        ConvnetSuperpixelFeatures(tuned).fit(superpixels, masks[:2])
    with pytest.raises(ValueError, match="local_convnet: .*got 5 bands; leave this"):
        LocalConvnetFeatures().fit(superpixels, masks[:2])


@pytest.mark.parametrize("kind", [LocalFeatures, ProximalFeatures])
def test_hand_crafted_levels_describe_every_band(kind, superpixels):
    """Colors and textons of every band, and SIFT of their mean."""
    level = kind(n_textons=8, n_words=20, random_state=0)
    table = level.fit_transform(superpixels)
    assert table.n_columns == 5 * 81 + 9 + (20 + 2) + 4
    assert level.textons_.shape == (8, 8 + 3 * 5)
    assert np.isfinite(table.to_numpy()).all()
    names = [name.partition("__")[2] for name in table.columns]
    assert names[0] == "band0_hist32_00"
    assert {"band4_quantile8_07", "sift_mean_word_019", "sift_mean_8px_entropy"} <= {
        *names
    }
    assert len(set(names)) == len(names)


def test_the_histogram_of_a_band_is_that_of_the_gray_image(bands, superpixels):
    """Lightness has the same bins everywhere."""
    color = LocalFeatures(descriptors=("color",))
    table = color.fit_transform(superpixels)
    gray = gray_and_rgb(bands, superpixels, lambda x: x[..., 4])
    alone = color.fit_transform(gray)
    for kind in ("hist32_07", "quantile32_30", "hist32_entropy", "hist8_3"):
        columns = [
            [i for i, name in enumerate(t.columns) if f"{channel}_{kind}" in name]
            for t, channel in ((table, "band4"), (alone, "__L"))
        ]
        found, expected = (
            t.to_numpy()[:, c] for t, c in zip((table, alone), columns, strict=True)
        )
        np.testing.assert_array_equal(found, expected)


def test_texture_in_a_single_band_is_seen():
    """The mean of the bands shows it too."""
    rng = np.random.default_rng(0)
    plain = np.full((60, 80, 5), 0.5)
    striped = plain.copy()
    striped[..., 3] = np.where(np.arange(80) % 6 < 3, 0.2, 0.8)
    noise = rng.normal(0, 0.005, plain.shape)
    superpixels = SuperpixelSegmenter(12).fit_transform([plain + noise, striped])
    level = LocalFeatures(("texture", "sift"), n_textons=6, n_words=6, random_state=0)
    table = level.fit_transform(superpixels)
    first, second = (table[i].to_numpy().mean(axis=0) for i in ([0], [1]))
    for kind in ("texton", "sift"):
        of_kind = [kind in name for name in table.columns]
        assert np.abs(first - second)[of_kind].max() > 0.3


def test_textons_are_not_learned_from_pixels_without_data(images):
    """What fills a gap is no texture of the image."""
    image = images[0] / 255
    image[10:30, 40:60] = np.nan
    segmenter = SuperpixelSegmenter(12, nodata=float("nan"))
    (segmented,) = segmenter.fit_transform([image])
    samples = _draw_from_image(segmented, filter_responses, 10**6, seed=0)
    assert len(samples) == image.shape[0] * image.shape[1] - 20 * 20
