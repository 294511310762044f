"""The estimators as scikit-learn wants them: its own checks, pickles, searches, bad input, other versions."""

from __future__ import annotations

import doctest
import importlib
import pickle
import pkgutil
import warnings

import joblib
import numpy as np
import pytest
from scipy.sparse import csr_matrix
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.datasets import make_blobs
from sklearn.exceptions import ConvergenceWarning, InconsistentVersionWarning
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import ConstantKernel, WhiteKernel
from sklearn.kernel_ridge import KernelRidge
from sklearn.linear_model import Ridge
from sklearn.metrics.pairwise import pairwise_kernels
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC
from sklearn.utils.estimator_checks import check_estimator

from learnability import estimators
from learnability.estimators import (
    CosineFeatures,
    GatedFeatures,
    KernelClassifier,
    KernelMachine,
    LeakyReluClassifier,
    OtherVersionWarning,
    ProcessKernel,
    ReluFeatures,
    ResNetRegressor,
    SparseParityClassifier,
    SymmetricClassifier,
)
from learnability.estimators.base import seed_of
from learnability.kernels.machine import fit
from learnability.kernels.named import DRAWN, NAMES, kernel

RESNET = {"network": "3resnet", "m": 20, "k": 2}
OPTIONS = {
    "features": {"N": 60, "bias": 1.0},
    "finite-conjugate": {"widths": (30,), "bias": 1.0},
    "finite-tangent": {"widths": (20,), "bias": 1.0},
    "finite-last": RESNET,
    "finite-hidden": RESNET,
    "finite-all": RESNET,
}
SMALL = {
    "symmetric": SymmetricClassifier(max_iter=10),
    "symmetric-frozen": SymmetricClassifier(solver="frozen", max_iter=10),
    "symmetric-exact": SymmetricClassifier(solver="exact"),
    "symmetric-sigmoid": SymmetricClassifier("sigmoid", max_iter=10),
    "leaky-relu": LeakyReluClassifier(8, max_iter=50),
    "leaky-relu-both": LeakyReluClassifier(8, layers="both", step=0.1, max_iter=50, scale="standard"),
    "sparse-parity": SparseParityClassifier(pairs=8),
    "resnet": ResNetRegressor(8, max_iter=60),
    "machine": KernelMachine(),
    "machine-tangent": KernelMachine("tangent", {"bias": 1.0}, ridge=0.1),
    "machine-drawn": KernelMachine("features", {"N": 40, "bias": 1.0}),
    "classifier": KernelClassifier(),
    "relu": ReluFeatures(10),
    "cosine": CosineFeatures(10),
    "gated": GatedFeatures(3),
}
CLASSIFIERS = [name for name, one in SMALL.items() if hasattr(one, "decision_function")]


def small(name, **change):
    return clone(SMALL[name]).set_params(**change)


def seeded(name, **change):
    found = small(name, **change)
    return found.set_params(random_state=0) if "random_state" in found.get_params() else found


def blobs(classes=2, m=60):
    X, y = make_blobs(m, centers=classes, random_state=0)
    return X, np.array(["ash", "birch", "cedar"])[y]


@pytest.fixture(autouse=True)
def _quiet():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        yield


# scikit-learn's own checks


@pytest.mark.parametrize("name", SMALL)
def test_scikit_learn_finds_nothing_to_object_to(name):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        checks = check_estimator(small(name))
    assert len(checks) > 40
    assert {check["status"] for check in checks} <= {"passed", "skipped"}


def test_the_check_covers_every_estimator():
    classes = {type(one) for one in SMALL.values()}
    public = {getattr(estimators, name) for name in estimators.__all__}
    assert public - classes == {OtherVersionWarning, ProcessKernel}


def test_only_what_is_no_function_of_a_sum_is_excused_from_blobs():
    excused = {
        type(one).__name__
        for one in SMALL.values()
        if (tags := one.__sklearn_tags__()).classifier_tags and tags.classifier_tags.poor_score
    }
    assert excused == {"SymmetricClassifier"}


MODULES = [f"{estimators.__name__}.{found.name}" for found in pkgutil.iter_modules(estimators.__path__)]


@pytest.mark.parametrize("module", MODULES)
def test_the_examples_of_the_docstrings(module):
    assert doctest.testmod(importlib.import_module(module)).failed == 0


# Pickles, copies, workers, versions


@pytest.mark.parametrize("name", SMALL)
def test_a_fitted_estimator_survives_a_pickle_and_a_clone_knows_nothing(name):
    X, y = blobs(3 if name in CLASSIFIERS else 2)
    y = y if name in CLASSIFIERS else X[:, 0]
    fitted = seeded(name).fit(X, y)
    method = "predict" if hasattr(fitted, "predict") else "transform"
    wanted = getattr(fitted, method)(X)
    for again in (pickle.loads(pickle.dumps(fitted)), clone(fitted).fit(X, y)):
        np.testing.assert_array_equal(getattr(again, method)(X), wanted)
    assert not [attribute for attribute in vars(clone(fitted)) if attribute.endswith("_")]


@pytest.mark.parametrize("name", NAMES)
def test_every_kernel_in_a_pickle_and_in_other_processes(name, tmp_path):
    rng = np.random.default_rng(0)
    X = rng.uniform(-0.5, 0.5, (30, 4))
    machine = KernelMachine(name, OPTIONS.get(name), random_state=1).fit(X, X[:, 0])
    again = pickle.loads(pickle.dumps(machine))
    np.testing.assert_array_equal(again.predict(X), machine.predict(X))
    assert clone(machine).get_params() == machine.get_params()
    joblib.dump(machine, tmp_path / "machine.joblib")
    np.testing.assert_array_equal(joblib.load(tmp_path / "machine.joblib").predict(X), machine.predict(X))


def test_every_kernel_goes_to_workers():
    X = np.random.default_rng(0).uniform(-0.5, 0.5, (20, 4))
    fitted = [KernelClassifier(name, OPTIONS.get(name), random_state=1).fit(X, X[:, 0] > 0) for name in NAMES]
    with joblib.parallel_config("loky", n_jobs=2):
        found = joblib.Parallel()(joblib.delayed(_predicted)(one, X) for one in fitted)
    for one, predicted in zip(fitted, found, strict=True):
        np.testing.assert_array_equal(predicted, one.predict(X))


def _predicted(estimator, X):
    return estimator.predict(X)


@pytest.mark.parametrize("name", ["leaky-relu", "resnet", "relu"])
def test_a_pickle_of_another_version_warns(name, monkeypatch):
    from learnability.estimators import base

    X, y = blobs()
    fitted = small(name).fit(X, (y == "ash").astype(float))
    now = pickle.dumps(fitted)
    monkeypatch.setattr(base, "__version__", "9.9.9")
    with pytest.warns(
        OtherVersionWarning, match=rf"estimator {type(fitted).__name__} from Learnability .* with Learnab"
    ):
        pickle.loads(now)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        pickle.loads(pickle.dumps(fitted))
        with pytest.raises(InconsistentVersionWarning):  # the category that scikit-learn's users filter
            pickle.loads(now)


@pytest.mark.parametrize("name", SMALL)
def test_a_data_frame_is_fitted_as_its_numbers(name):
    """Columns of a frame come one after the other in memory, where rows of an array do."""
    import pandas as pd

    X, y = blobs()
    targets = y if name in CLASSIFIERS else X[:, 0]
    frame = pd.DataFrame({"height": X[:, 0], "age": X[:, 1]})
    usual, other = seeded(name).fit(X, targets), seeded(name).fit(frame, targets)
    method = next(one for one in ("decision_function", "predict", "transform") if hasattr(usual, one))
    np.testing.assert_allclose(getattr(other, method)(frame), getattr(usual, method)(X), rtol=1e-5, atol=1e-6)
    assert other.feature_names_in_.tolist() == ["height", "age"]
    with pytest.raises(ValueError, match="feature names should match"):
        getattr(other, method)(frame[["age", "height"]])


# Labels, classes, scores, searches, pipelines


@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.parametrize("name", CLASSIFIERS)
def test_labels_are_strings_of_any_number_of_classes(name, classes):
    X, y = blobs(classes)
    found = seeded(name).fit(X, y)
    assert found.classes_.tolist() == ["ash", "birch", "cedar"][:classes]
    decisions = found.decision_function(X)
    assert decisions.shape == ((60,) if classes == 2 else (60, 3))
    places = (decisions > 0).astype(int) if classes == 2 else decisions.argmax(axis=1)
    np.testing.assert_array_equal(found.predict(X), found.classes_[places])
    if "symmetric" not in name:
        assert found.score(X, y) > 0.85


@pytest.mark.parametrize("scoring", ["accuracy", "roc_auc"])
@pytest.mark.parametrize("name", CLASSIFIERS)
def test_scores_in_cross_validation(name, scoring):
    X, y = blobs()
    scores = cross_val_score(make_pipeline(StandardScaler(), seeded(name)), X, y, cv=3, scoring=scoring)
    assert scores.shape == (3,)
    assert ((scores >= 0) & (scores <= 1)).all()


def test_in_searches_and_pipelines():
    X, y = blobs()
    search = GridSearchCV(LeakyReluClassifier(random_state=0, max_iter=20), {"width": [2, 8]}, cv=3).fit(X, y)
    assert search.best_score_ > 0.9
    rng = np.random.default_rng(2)
    signs = rng.choice([-1.0, 1.0], (60, 5))
    grid = {"options": [{"degree": 1}, {"degree": 2}]}
    found = GridSearchCV(KernelMachine("polynomial"), grid, cv=3).fit(signs, signs[:, 0] * signs[:, 1])
    assert found.best_params_ == {"options": {"degree": 2}}
    for transformer in (ReluFeatures(200), CosineFeatures(200), GatedFeatures(40)):
        line = make_pipeline(transformer.set_params(random_state=0), Ridge(1e-3)).fit(X, np.abs(X[:, 0]))
        assert line.score(X, np.abs(X[:, 0])) > 0.9
    line = make_pipeline(ReluFeatures(5, random_state=0), Ridge()).set_output(transform="pandas").fit(X, X[:, 0])
    assert list(line[:-1].transform(X).columns) == [f"relufeatures{i}" for i in range(5)]


def test_names_of_gated_features():
    import pandas as pd

    frame = pd.DataFrame({"height": [1.0, 2.0], "age": [3.0, 4.0]})
    gated = GatedFeatures(2, random_state=0).fit(frame)
    names = ["height", "age", "bias"]
    assert gated.get_feature_names_out().tolist() == [f"gate{i}_{name}" for i in range(2) for name in names]
    assert gated.transform(frame).shape == (2, 6)


@pytest.mark.parametrize("name", ["symmetric", "leaky-relu", "sparse-parity", "resnet"])
def test_sgd_takes_no_weights(name):
    X, y = blobs()
    with pytest.raises(TypeError, match="sample_weight"):
        small(name).fit(X, (y == "ash").astype(float), sample_weight=np.ones(len(y)))


# Kernels in scikit-learn's own estimators


@pytest.mark.parametrize("name", NAMES)
def test_every_kernel_as_a_metric(name):
    rng = np.random.default_rng(0)
    X, Z = rng.uniform(-0.5, 0.5, (12, 3)), rng.uniform(-0.5, 0.5, (5, 3))
    drawn = {"rng": np.random.default_rng(1), "n": 3} if name in DRAWN else {}
    usual = {"gaussian": {"gamma": 0.5}, "polynomial": {"degree": 2}}
    K = kernel(name, **OPTIONS.get(name, usual.get(name, {})), **drawn)
    np.testing.assert_allclose(pairwise_kernels(X, Z, metric=K), K(X, Z), rtol=1e-9, atol=1e-12)
    y = X[:, 0] * X[:, 1]
    rowwise, whole = KernelRidge(kernel=K, alpha=0.1).fit(X, y), fit(K, X, y, 0.1)
    np.testing.assert_allclose(rowwise.predict(Z), whole.predict(Z), rtol=1e-6, atol=1e-9)
    assert SVC(kernel=K).fit(X, y > 0).predict(Z).shape == (5,)


@pytest.mark.parametrize("name", ["tangent", "gaussian", "features"])
def test_kernels_in_gaussian_processes(name):
    rng = np.random.default_rng(0)
    X, Z = rng.standard_normal((70, 3)), rng.standard_normal((5, 3))
    y = X[:, 0] + 0.1 * rng.standard_normal(70)
    own = ProcessKernel(name, OPTIONS.get(name), 3)
    np.testing.assert_allclose(own.diag(X), np.diagonal(own(X)), rtol=1e-12)
    found = GaussianProcessRegressor(own, alpha=0.1).fit(X, y)
    machine = KernelMachine(name, OPTIONS.get(name), ridge=0.1, random_state=3).fit(X, y)
    np.testing.assert_allclose(found.predict(Z), machine.predict(Z), rtol=1e-6, atol=1e-9)
    scaled = GaussianProcessRegressor(ConstantKernel() * own + WhiteKernel(), random_state=0).fit(X, y)
    assert scaled.kernel_.n_dims == 2
    assert scaled.predict(Z, return_std=True)[1].shape == (5,)
    assert clone(own).get_params() == own.get_params()
    assert pickle.loads(pickle.dumps(own)) == own
    assert own.is_stationary() == (name == "gaussian")
    assert name in repr(own)
    K, gradient = own(X, eval_gradient=True)
    assert gradient.shape == (*K.shape, 0)


@pytest.mark.parametrize(
    ("form", "name"),
    [(lambda own: own, "kernel__kernel"), (lambda own: ConstantKernel() * own, "kernel__k2__kernel")],
)
def test_a_search_over_the_kernels_of_a_process(form, name):
    X = np.random.default_rng(0).choice([-1.0, 1.0], (60, 6))
    process = GaussianProcessRegressor(form(ProcessKernel(np.inner)), alpha=0.1)
    search = GridSearchCV(process, {name: [np.inner, "tangent"]}, cv=3, error_score="raise")
    found = search.fit(X, X[:, 0] * X[:, 1])
    assert found.best_params_ == {name: "tangent"}  # a product of two signs is orthogonal to everything linear
    assert found.best_score_ > 0.5


def test_calibration_brings_the_probabilities_that_classifiers_lack():
    X = np.random.default_rng(0).choice([0.0, 1.0], (60, 4))
    for one in (
        SymmetricClassifier(solver="exact"),
        LeakyReluClassifier(width=6, random_state=0),
        SparseParityClassifier(k=2, random_state=0),
        KernelClassifier(),
    ):
        assert not hasattr(one, "predict_proba")
        calibrated = CalibratedClassifierCV(one, cv=2)
        scores = cross_val_score(calibrated, X, X.sum(axis=1) > 2, scoring="neg_log_loss", cv=2)
        assert np.isfinite(scores).all()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda own: own.diag(np.empty((0, 3))), r"X must have shape .*, got shape \(0, 3\)"),
        (lambda own: own.diag(csr_matrix(np.ones((2, 3)))), r"X must be a dense .* csr_matrix: use \.toarray\(\)"),
        (lambda own: own(np.ones((2, 3)), csr_matrix(np.ones((2, 3)))), "Y must be a dense array"),
        (lambda own: own(np.ones((2, 3)), np.ones((2, 4))), "Z must have 3 columns"),
        (lambda own: own.set_params(random_state=None)(np.ones((2, 3))), "random_state must be an integer, got None"),
    ],
)
def test_what_a_process_kernel_refuses(call, message):
    with pytest.raises(ValueError, match=message):
        call(ProcessKernel())


def test_the_gaussian_is_scikit_learns():
    X = np.random.default_rng(0).standard_normal((6, 3))
    from sklearn.metrics.pairwise import rbf_kernel

    np.testing.assert_allclose(ProcessKernel("gaussian", {"gamma": 0.4})(X), rbf_kernel(X, gamma=0.4), rtol=1e-12)


class TestKernelMachine:
    def data(self, m=60):
        g = np.random.default_rng(2)
        X = g.choice([-1.0, 1.0], (m, 5))
        return X, X[:, 0] * X[:, 1] + 0.1 * g.standard_normal(m)

    def test_it_is_the_machine(self):
        X, y = self.data()
        found = KernelMachine("tangent", {"depth": 2, "bias": 1.0}).fit(X, y)
        other = fit(kernel("tangent", depth=2, bias=1.0), X, y)
        np.testing.assert_array_equal(found.predict(X), other.predict(X))
        assert found.machine_.errors == other.errors
        assert KernelMachine(ridge=0.5).fit(X, y).machine_.ridge == 0.5
        own = KernelMachine(lambda X, Z: X @ Z.T + 1.0, ridge=0.5).fit(X, np.stack([y, -y], axis=1))
        np.testing.assert_allclose(own.predict(X)[:, 0], -own.predict(X)[:, 1])

    def test_drawn_kernels_follow_the_seed(self):
        X, y = self.data()
        one, same, other = (
            KernelMachine("finite-all", RESNET, random_state=seed).fit(X, y).predict(X[:5] / 2) for seed in (1, 1, 2)
        )
        np.testing.assert_array_equal(one, same)
        assert not np.allclose(one, other)

    def test_weights_are_repetitions(self):
        X, y = self.data()
        weights = np.random.default_rng(3).integers(0, 3, 60)
        one = KernelMachine("arcsine").fit(X, y, sample_weight=weights)
        other = KernelMachine("arcsine").fit(X.repeat(weights, axis=0), y.repeat(weights))
        np.testing.assert_allclose(one.predict(X), other.predict(X), rtol=1e-7)

    @pytest.mark.parametrize(
        ("change", "message"),
        [
            ({"kernel": "no"}, "kernel must be one of"),
            ({"kernel": 3}, "kernel must be a function"),
            ({"kernel": max, "options": {}}, "options must be None"),
            ({"options": 3}, "options must be a mapping"),
            ({"options": {1: 2}}, "options must be among 'gamma' for the kernel 'gaussian', got 1"),
            ({"options": {"name": 2}}, "options must be among 'gamma' for the kernel 'gaussian', got 'name'"),
            ({"kernel": "features"}, "options must hold 'N' for the kernel 'features', got no 'N'"),
            (
                {"kernel": "finite-all", "options": {"m": 3}},
                "options must hold 'network', 'k' for the kernel 'finite-all', got no 'network', 'k'",
            ),
            (
                {"kernel": "features", "options": {"N": 10, "n": 3, "rng": np.random.default_rng(0)}},
                "options must leave out rng and n, which come from random_state and the inputs, got rng, n",
            ),
            ({"random_state": "a"}, "random_state must be an integer, got 'a'"),
            ({"kernel": np.inner, "random_state": -1}, "random_state must be >= 0, got -1"),
            ({"ridge": 0}, "ridge must be > 0"),
            ({"ridges": 0.1}, "ridges must hold at least one"),
            ({"memory": 1e3}, "X must have at most about .* rows"),
        ],
    )
    @pytest.mark.parametrize("estimator", [KernelMachine, KernelClassifier])
    def test_refuses(self, estimator, change, message):
        X, y = self.data()
        with pytest.raises(ValueError, match=message):
            estimator(**change).fit(X, np.sign(y))

    def test_weights_that_are_none(self):
        X, y = self.data()
        for weights, message in (
            (-np.ones(60), "sample_weight must be >= 0"),
            (np.zeros(60), "sample_weight must hold"),
        ):
            with pytest.raises(ValueError, match=message):
                KernelMachine().fit(X, y, sample_weight=weights)
        with pytest.raises(ValueError, match="y with a positive sample_weight must hold at least two classes"):
            KernelClassifier().fit(X, np.sign(y), sample_weight=(y > 0).astype(float))


# Bad input


@pytest.mark.parametrize("name", SMALL)
@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_what_is_not_finite_is_refused_by_name(name, bad):
    X, y = blobs()
    targets = y if name in CLASSIFIERS else X[:, 0]
    fitted = seeded(name).fit(X, targets)
    X[3, 1] = bad
    with pytest.raises(ValueError, match="Input X contains"):
        small(name).fit(X, targets)
    for method in {"predict", "transform", "decision_function"} & set(dir(fitted)):
        with pytest.raises(ValueError, match="Input X contains"):
            getattr(fitted, method)(X)


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("symmetric", {"init": "random"}, "init must be one of 'integer'"),
        ("symmetric", {"solver": "lp"}, "solver must be one of 'sgd', 'frozen', 'exact', got 'lp'"),
        ("symmetric", {"h": 0}, "h must be > 0, got 0"),
        ("symmetric", {"beta": -1}, "beta must be >= 0, got -1"),
        ("symmetric", {"max_iter": 0}, "max_iter must be >= 1, got 0"),
        ("symmetric", {"delta": 1}, "delta must be < 1, got 1"),
        ("symmetric", {"bounds": 3}, r"bounds must be a pair \(low, high\), got 3"),
        ("symmetric", {"bounds": (1, 0)}, r"bounds must have low < high, got \(1, 0\)"),
        ("symmetric", {"bounds": (0, [1, 2, 3])}, r"bounds must be numbers or have a number for each of 2 columns"),
        ("symmetric", {"bounds": (0, np.nan)}, "bounds must be finite"),
        ("symmetric", {"random_state": "x"}, "random_state must be an integer, got 'x'"),
        ("symmetric", {"random_state": -1}, "random_state must be >= 0, got -1"),
        ("leaky-relu", {"width": 3}, r"width must be even \(k hidden units of each sign\), got 3"),
        ("leaky-relu", {"width": 0}, "width must be >= 2, got 0"),
        ("leaky-relu", {"slope": 1}, "slope must be < 1, got 1"),
        ("leaky-relu", {"step": 0}, "step must be > 0, got 0"),
        ("leaky-relu", {"layers": "second"}, "layers must be one of 'first', 'both', got 'second'"),
        ("leaky-relu", {"scale": "min"}, "scale must be one of"),
        ("leaky-relu", {"max_iter": 1.5}, "max_iter must be an integer, got 1.5"),
        ("leaky-relu", {"delta": 0}, "delta must be > 0, got 0"),
        ("sparse-parity", {"k": 0}, "k must be >= 1, got 0"),
        ("sparse-parity", {"pairs": 0}, "pairs must be >= 1, got 0"),
        ("resnet", {"width": 0}, "width must be >= 1, got 0"),
        ("resnet", {"width": 10**10}, "width must be at most about"),
        ("resnet", {"layers": "A"}, "layers must be one of 'all', 'hidden', got 'A'"),
        ("resnet", {"learning_rate": 0}, "learning_rate must be > 0, got 0"),
        (
            "resnet",
            {"learning_rate": 1e6},
            r"learning_rate must be small enough .* got 1000000.0: the run diverged in ep",
        ),
        ("resnet", {"weight_decay": -1}, "weight_decay must be >= 0, got -1"),
        ("resnet", {"momentum": 1}, "momentum must be < 1, got 1"),
        ("resnet", {"batch_size": 0}, "batch_size must be >= 1, got 0"),
        ("resnet", {"max_iter": 0}, "max_iter must be >= 1, got 0"),
        ("resnet", {"dtype": "int"}, "dtype must be one of 'float32', 'float64', got 'int'"),
        ("relu", {"n_components": 0}, "n_components must be >= 1, got 0"),
        ("relu", {"weight": 0}, "weight must be > 0, got 0"),
        ("relu", {"bias": -1}, "bias must be >= 0, got -1"),
        ("cosine", {"gamma": 0}, "gamma must be > 0, got 0"),
        ("gated", {"bias": -1}, "bias must be >= 0, got -1"),
    ],
)
def test_a_parameter_that_is_none_is_named(name, change, message):
    X, y = blobs()
    with pytest.raises(ValueError, match=message):
        small(name, **change).fit(X, (y == "ash").astype(float))


@pytest.mark.parametrize("name", ["machine", "resnet"])
@pytest.mark.parametrize(
    ("y", "message"),
    [
        (["1"] * 60, "y must be an array of real numbers, got dtype <U1"),
        (np.array([1, "ash"] * 30, dtype=object), "y must be an array of real numbers, got an entry 'ash'"),
        (csr_matrix(np.ones((60, 1))), "y must be a dense array, got a sparse csr_matrix"),
    ],
)
def test_targets_that_are_no_numbers(name, y, message):
    X, _ = blobs()
    with pytest.raises(ValueError, match=message):
        small(name).fit(X, y)


@pytest.mark.parametrize("name", CLASSIFIERS)
def test_one_class_is_refused(name):
    X, _ = blobs()
    with pytest.raises(ValueError, match="y must hold at least two classes, got one class: 'ash'"):
        small(name).fit(X, ["ash"] * len(X))


def test_inputs_far_outside_are_refused():
    X, y = blobs()
    with pytest.raises(ValueError, match=r"X must have entries of size <= 1e\+100"):
        small("symmetric").fit(X * 1e200, y)
    with pytest.raises(ValueError, match=r"X must lie within 1e\+100 times the range of the sample"):
        small("sparse-parity").fit(X, y).predict(X * 1e200)


@pytest.mark.parametrize("name", ["symmetric", "leaky-relu"])
def test_classes_of_partial_fit(name):
    X, y = blobs(3)
    found = seeded(name)
    with pytest.raises(ValueError, match="classes must name all classes in the first call"):
        found.partial_fit(X, y)
    for none in (3, "ash", [["ash", "birch", "cedar"]]):
        with pytest.raises(ValueError, match="classes must be a sequence of labels, got"):
            found.partial_fit(X, y, classes=none)
    with pytest.raises(ValueError, match="classes must hold at least two classes, got one class"):
        found.partial_fit(X, y, classes=["ash"])
    found.partial_fit(X[y == "ash"], y[y == "ash"], classes=["cedar", "birch", "ash"])
    assert found.classes_.tolist() == ["ash", "birch", "cedar"]
    with pytest.raises(ValueError, match=r"y must hold classes of the first call, .*got 'oak'"):
        found.partial_fit(X[:1], ["oak"])
    with pytest.raises(ValueError, match="classes must be those of the first call"):
        found.partial_fit(X, y, classes=["ash", "oak"])
    found.partial_fit(X, y)
    assert found.decision_function(X).shape == (60, 3)


def test_a_warm_start_keeps_the_classes():
    X, y = blobs(3)
    found = seeded("leaky-relu", warm_start=True).fit(X, y)
    with pytest.raises(ValueError, match="y must hold the same classes for a warm start"):
        found.fit(X[y != "ash"], y[y != "ash"])
    ridge = seeded("resnet", warm_start=True).fit(X, X)
    with pytest.raises(ValueError, match=r"y must have the outputs of the first fit, 2, got shape \(60,\)"):
        ridge.fit(X, X[:, 0])


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        (
            "symmetric",
            {"init": "sigmoid"},
            "init must stay 'half_integer' where a fit goes on from the last, got 'sig",
        ),
        ("symmetric-frozen", {"h": 0.5}, "h must stay None where a fit goes on from the last, got 0.5"),
        ("leaky-relu", {"width": 16}, "width must stay 8 where"),
        ("leaky-relu", {"bias": False}, "bias must stay True where"),
        ("sparse-parity", {"k": 1}, "k must stay 3 where"),
        ("sparse-parity", {"pairs": 4}, "pairs must stay 8 where"),
        ("resnet", {"width": 16}, "width must stay 8 where"),
    ],
)
def test_what_the_start_was_made_with_stays(name, change, message):
    X, y = blobs()
    targets = (y == "ash").astype(float)
    found = seeded(name, warm_start=True).fit(X, targets).set_params(**change)
    for method in {"fit", "partial_fit"} & set(dir(found)):
        with pytest.raises(ValueError, match=message):
            getattr(found, method)(X, targets)
    found.set_params(warm_start=False).fit(X, targets)  # anew
    exact = seeded("symmetric-exact", warm_start=True).fit(X, targets).set_params(init="integer")
    np.testing.assert_array_equal(
        exact.fit(X, targets).predict(X), seeded("symmetric-exact", init="integer").fit(X, targets).predict(X)
    )


def test_seeds():
    assert seed_of(5) == 5
    assert seed_of(np.random.RandomState(0)) == seed_of(np.random.RandomState(0))
    assert seed_of(np.random.default_rng(0)) == seed_of(np.random.default_rng(0))
    assert isinstance(seed_of(None), int)
    with pytest.raises(ValueError, match="random_state must be an integer"):
        seed_of(0.5)
