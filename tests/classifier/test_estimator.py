"""Any classifier of scikit-learn in place of the network."""

import numpy as np
import pytest
from labeled_tables import make_classifier, make_data
from sklearn.dummy import DummyClassifier
from sklearn.ensemble import RandomForestClassifier, StackingClassifier
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.neighbors import KNeighborsClassifier
from sklearn.svm import LinearSVC
from sklearn.tree import DecisionTreeClassifier

from sklearn_zoomout.exceptions import AbsentClassWarning


@pytest.mark.parametrize(
    "estimator", [LogisticRegression(), RandomForestClassifier(20, random_state=0)]
)
def test_estimator(data, estimator):
    """It takes the place of the network, with the same outputs."""
    table, masks = data
    model = make_classifier(estimator=estimator).fit(table, masks)
    assert not hasattr(estimator, "classes_")
    assert model.classes_.tolist() == [10, 20, 255]
    assert model.score(table, masks) > 0.95
    proba = model.predict_proba(table)
    for p, labels in zip(proba, model.predict(table), strict=True):
        assert p.dtype == np.float32
        np.testing.assert_array_equal(model.classes_[p.argmax(axis=-1)], labels)


def test_a_classifier_of_classifiers(data):
    """It has `predict` only when it is fitted."""
    members = [("tree", DecisionTreeClassifier(max_depth=3, random_state=0))]
    stack = StackingClassifier(members, LogisticRegression(), cv=2)
    model = make_classifier(estimator=stack, class_weight=None).fit(*data)
    assert model.score(*data) > 0.5


def test_estimator_must_be_a_classifier(data):
    """A regressor is refused before it is trained."""
    with pytest.raises(ValueError, match="expected a classifier, got LinearRegression"):
        make_classifier(estimator=LinearRegression()).fit(*data)


def test_estimator_gets_balanced_sample_weights():
    """The weights of equation (2) act as scikit-learn's balanced ones."""
    table, masks = make_data(noise=4.0)
    ours = make_classifier(estimator=LogisticRegression(max_iter=500)).fit(table, masks)
    theirs = LogisticRegression(max_iter=500, class_weight="balanced")
    plain = make_classifier(estimator=theirs, class_weight=None).fit(table, masks)
    coef, expected = ours.estimator_.coef_, plain.estimator_.coef_
    np.testing.assert_allclose(coef, expected, rtol=1e-3, atol=1e-4)


def test_estimator_without_sample_weight(data):
    """Weights that cannot be applied are refused before any work."""
    table, masks = data
    model = make_classifier(estimator=KNeighborsClassifier(3))
    with pytest.raises(ValueError, match="KNeighborsClassifier.fit takes no sample_we"):
        model.fit(table, None)
    assert model.set_params(class_weight=None).fit(table, masks).score(*data) > 0.95


def test_estimator_without_probabilities(data):
    """It predicts, and has no predict_proba."""
    table, masks = data
    model = make_classifier(estimator=LinearSVC()).fit(table, masks)
    assert model.score(table, masks) > 0.95
    assert not hasattr(model, "predict_proba")
    assert not hasattr(model, "predict_superpixel_proba")


def test_estimator_and_absent_class(data):
    """Its probability columns are those of classes_, 0 for the absent one."""
    table, masks = data
    with pytest.warns(AbsentClassWarning):
        model = make_classifier(
            estimator=LogisticRegression(), classes=[10, 15, 20, 255]
        )
        model.fit(table, masks)
    proba = model.predict_superpixel_proba(table)
    assert proba.shape[1] == 4
    assert (proba[:, 1] == 0).all()
    assert model.score(table, masks) > 0.95


def test_estimator_gets_standardized_rows(data):
    """It sees columns of mean 0 and deviation 1, unless standardize=False."""
    table, masks = data

    class Recorder(DummyClassifier):
        def fit(self, X, y, sample_weight=None):
            self.seen_ = X
            return super().fit(X, y, sample_weight)

    seen = make_classifier(estimator=Recorder()).fit(table, masks).estimator_.seen_
    np.testing.assert_allclose(seen.mean(axis=0), 0, atol=1e-5)
    np.testing.assert_allclose(seen.std(axis=0), 1, rtol=1e-4)
    raw = make_classifier(estimator=Recorder(), standardize=False).fit(table, masks)
    np.testing.assert_array_equal(raw.estimator_.seen_, table.to_numpy())


def test_nested_parameters_of_the_estimator(data):
    """A search reaches the parameters of estimator."""
    table, masks = data
    model = make_classifier(estimator=DecisionTreeClassifier())
    grid = {"estimator__max_depth": [1, 5]}  # at depth 1 there are two leaves
    search = GridSearchCV(model, grid, cv=2).fit(table, masks)
    assert search.best_params_ == {"estimator__max_depth": 5}
