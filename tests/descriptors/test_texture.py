import numpy as np
import pytest
from scipy import ndimage
from scipy.spatial.distance import cdist

from sklearn_zoomout.descriptors._texture import (
    assign_textons,
    filter_responses,
    fit_textons,
    texture_features,
    texture_names,
)


@pytest.fixture
def lab():
    return np.random.default_rng(0).normal(0, 20, (80, 90, 3)).astype(np.float32)


def test_responses_are_those_of_the_textonboost_bank(lab):
    """Gaussians, Laplacians and derivatives come in order, each at its scale."""
    responses = np.moveaxis(filter_responses(lab), -1, 0)
    lightness = lab[..., 0]
    expected = [
        ndimage.gaussian_filter(lab[..., c], s) for s in (1, 2, 4) for c in range(3)
    ]
    expected += [ndimage.gaussian_laplace(lightness, s) for s in (1, 2, 4, 8)]
    for sigma in (2, 4):
        for order in ((0, 1), (1, 0)):
            expected.append(ndimage.gaussian_filter(lightness, sigma, order))
    assert len(responses) == len(expected) == 17
    inside = np.s_[35:-35, 35:-35]
    for ours, theirs in zip(responses, expected, strict=True):
        assert np.corrcoef(ours[inside].ravel(), theirs[inside].ravel())[0, 1] > 0.98


def test_textons_do_not_depend_on_the_units_of_a_filter(lab):
    """Responses are standardized before they are clustered and assigned."""
    responses = filter_responses(lab)
    factors = np.float32(2.0) ** (np.arange(17) - 8)
    codes = [
        assign_textons(r, *fit_textons(r.reshape(-1, 17), 10, random_state=0))
        for r in (responses, responses * factors)
    ]
    assert codes[0].shape == (80, 90)
    assert len(np.unique(codes[0])) == 10
    assert (codes[0] == codes[1]).mean() > 0.99


def test_pixels_get_the_nearest_texton(lab):
    """Means and scales within the textons change no more than a pixel in 1,000."""
    responses = filter_responses(lab)
    dictionary = fit_textons(responses.reshape(-1, 17), 20, random_state=0)
    textons, mean, scale = dictionary
    standardized = (responses.reshape(-1, 17) - mean) / scale
    expected = cdist(standardized, textons).argmin(axis=1)
    got = assign_textons(responses, *dictionary).ravel()
    assert (got == expected).mean() >= 0.999


def test_a_filter_that_never_responded_is_ignored(lab):
    """Textons of gray images do not divide by zero and do not look at colors."""
    lab[..., 1:] = 0
    responses = filter_responses(lab)
    dictionary = fit_textons(responses.reshape(-1, 17), 5, random_state=0)
    assert all(np.isfinite(dictionary[0]).ravel())
    assert np.isinf(dictionary[2]).sum() == 6
    codes = assign_textons(responses, *dictionary)
    lab[..., 1:] = 50
    np.testing.assert_array_equal(
        assign_textons(filter_responses(lab), *dictionary), codes
    )


def test_features_are_the_histogram_and_its_entropy():
    """A region of two equally frequent textons has the entropy log 2."""
    features = texture_features(np.array([[2, 0, 2], [0, 0, 0]]))
    np.testing.assert_allclose(
        features, [[0.5, 0, 0.5, np.log(2)], [0, 0, 0, 0]], rtol=1e-6
    )
    assert texture_names(3) == ["texton_00", "texton_01", "texton_02", "texton_entropy"]
    assert len(texture_names()) == 65
