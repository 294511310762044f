from __future__ import annotations

import hashlib
import io
import os
import sys
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import numpy as np
import pytest

from learnability import datasets
from learnability.datasets import digits_pair, fetch_mnist, has_mnist, mnist, mnist_file, mnist_pair, mnist_path
from learnability.datasets.digits import DIGITS


def arrays():
    """A small data set in MNIST's form."""
    rng = np.random.default_rng(0)
    shapes = ((60, 4, 4), (60,), (20, 4, 4), (20,))
    values = (rng.integers(0, high, size=shape).astype(np.uint8) for shape, high in zip(shapes, (256, 10) * 2))
    return dict(zip(("x_train", "y_train", "x_test", "y_test"), values))


def packed(save=np.savez_compressed, **changes):
    stream = io.BytesIO()
    save(stream, **{name: a for name, a in {**arrays(), **changes}.items() if a is not None})
    return stream.getvalue()


@pytest.fixture
def small(monkeypatch, tmp_path):
    """The reader set to the small data, an empty data folder and an empty cache, and no network."""
    content = b"".join(a.tobytes() for a in arrays().values())
    monkeypatch.setattr(mnist_file, "SHAPES", tuple(a.shape for a in arrays().values()))
    monkeypatch.setattr(mnist_file, "CONTENT_SHA256", hashlib.sha256(content).hexdigest())
    monkeypatch.setattr(mnist_file, "FILE_SHA256", hashlib.sha256(packed()).hexdigest())
    monkeypatch.setattr(mnist_file, "URL", "http://127.0.0.1:9/mnist.npz")
    monkeypatch.setattr(mnist_file, "cache_folder", lambda: tmp_path / "cache" / "learnability")
    monkeypatch.setenv("LEARNABILITY_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("NO_PROXY", "*")
    return tmp_path


def put(root, content, cache=False):
    folder = root / "cache" / "learnability" if cache else root / "data"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "mnist.npz").write_bytes(content)
    return folder / "mnist.npz"


@pytest.fixture
def served(small, monkeypatch):
    """A server on this machine that hands out the bytes in the returned list."""
    content = [packed()]

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            self.send_header("Content-Length", str(len(content[0])))
            self.end_headers()
            self.wfile.write(content[0])

        def log_message(self, *arguments):
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    monkeypatch.setattr(mnist_file, "URL", f"http://127.0.0.1:{server.server_port}/mnist.npz")
    yield content
    server.shutdown()
    thread.join()
    server.server_close()


def test_digits_pair_is_scikit_learns():
    from sklearn.datasets import load_digits

    X, digits = load_digits(return_X_y=True)
    X, digits = X[(digits == 3) | (digits == 5)], digits[(digits == 3) | (digits == 5)]
    data = digits_pair()
    np.testing.assert_allclose(data.X, X / np.linalg.norm(X, axis=1).max(), rtol=1e-15)
    np.testing.assert_array_equal(data.y, np.where(digits == 3, 1, -1))
    assert len(data.y) == 365
    assert data.origin == DIGITS == "scikit-learn digits 8x8"
    assert data.classes == (5, 3)
    assert "largest norm, 69.152" in data.notes[0]
    swapped = digits_pair(5, 3)
    np.testing.assert_array_equal(swapped.X, data.X)
    np.testing.assert_array_equal(swapped.y, -data.y)


@pytest.mark.parametrize("cache", [False, True])
def test_the_pair_from_a_file(small, cache):
    assert not has_mnist()
    assert mnist_path() is None
    put(small, packed(), cache)
    assert has_mnist()
    whole = arrays()
    for name, array in mnist()._asdict().items():
        assert array.dtype == np.uint8
        np.testing.assert_array_equal(array, whole[name])
    data = mnist_pair(7, 2)
    digits = np.concatenate([whole["y_train"], whole["y_test"]])
    X = np.concatenate([whole["x_train"], whole["x_test"]]).reshape(80, 16).astype(float)
    X, digits = X[(digits == 7) | (digits == 2)], digits[(digits == 7) | (digits == 2)]
    assert data.X.dtype == np.float64
    np.testing.assert_allclose(data.X, X / np.linalg.norm(X, axis=1).max(), rtol=1e-15)
    np.testing.assert_array_equal(data.y, np.where(digits == 7, 1, -1))
    assert (data.origin, data.classes) == ("MNIST", (2, 7))
    np.testing.assert_array_equal(mnist_pair(2, 7).y, -data.y)
    data.X[:] = 0  # what a caller does with its copy is its own affair
    assert mnist_pair(7, 2).X.any()


def test_the_folder_goes_before_the_cache_and_may_be_unset(small, monkeypatch):
    put(small, packed(), cache=True)
    put(small, b"not MNIST")
    with pytest.raises(ValueError, match=r"data/mnist.npz cannot be read as MNIST"):
        mnist()
    monkeypatch.delenv("LEARNABILITY_DATA")
    assert len(mnist().y_test) == 20


def test_absent_without_a_request_to_download(small):
    for call in (mnist, mnist_pair):
        with pytest.raises(ValueError, match="MNIST is not there") as caught:
            call()
        message = str(caught.value)
        for part in (str(small / "data"), str(small / "cache"), "mnist.npz", "LEARNABILITY_DATA", "fetch_mnist()"):
            assert part in message
        assert "the stand-in that needs no file" in message
        assert "\n" not in message
    assert not any(small.iterdir())


def test_no_network_says_what_to_put_where(small):
    for call in (fetch_mnist, lambda: mnist_pair(download=True), lambda: mnist(download=True)):
        with pytest.raises(ValueError, match="MNIST could not be downloaded from http") as caught:
            call()
        assert "set LEARNABILITY_DATA to that folder" in str(caught.value)
        assert "\n" not in str(caught.value)
    assert not has_mnist()


def test_download_on_request_once(small, served):
    assert not has_mnist()
    assert len(mnist_pair(1, 0, download=True).y) > 0
    assert (small / "data" / "mnist.npz").read_bytes() == packed()
    served[0] = b"gone"
    assert fetch_mnist() == small / "data" / "mnist.npz"
    assert len(mnist().y_train) == 60


def test_download_to_the_cache_without_a_folder(small, served, monkeypatch):
    monkeypatch.delenv("LEARNABILITY_DATA")
    assert fetch_mnist() == small / "cache" / "learnability" / "mnist.npz"
    assert has_mnist()


def test_a_download_with_another_checksum_is_not_kept(small, served):
    served[0] = packed(y_test=np.zeros(20, np.uint8))
    with pytest.raises(ValueError, match="MNIST could not be downloaded") as caught:
        fetch_mnist()
    assert "does not match the known hash" in str(caught.value)
    assert not has_mnist()


def test_a_file_that_is_there_is_never_replaced(small, served):
    path = put(small, b"mine")
    with pytest.raises(ValueError, match="cannot be read as MNIST"):
        fetch_mnist()
    assert path.read_bytes() == b"mine"


DENTED = packed()[:600] + bytes(8) + packed()[608:]


def changed():
    image = arrays()["x_test"].copy()
    image[3, 1, 2] ^= 1
    return image


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "cannot be read as MNIST"),
        (packed()[:-400], "cannot be read as MNIST"),
        (DENTED, "cannot be read as MNIST|have the SHA-256"),
        (packed(y_test=None), "cannot be read as MNIST .*y_test"),
        (packed(x_test=changed()), "is not MNIST: .* have the SHA-256"),
        (packed(x_train=arrays()["x_train"].reshape(60, 16)), r"is not MNIST: .*x_train uint8\[60, 16\]"),
        (packed(y_train=arrays()["y_train"].astype(np.int64)), r"is not MNIST: .*y_train int64\[60\]"),
        (packed(y_train=np.array([print] * 60, dtype=object)), "cannot be read as MNIST .*allow_pickle"),
    ],
)
def test_a_damaged_file_is_named(small, content, message):
    path = put(small, content)
    assert mnist_path() == path
    if content != DENTED:  # has_mnist reads headers only, which need not show a dent
        assert has_mnist() == (content == packed(x_test=changed()))
    with pytest.raises(ValueError, match=message) as caught:
        mnist_pair()
    assert str(caught.value).startswith(str(path))
    assert "delete it" in str(caught.value)


def test_another_compression_of_the_same_arrays_is_mnist(small):
    put(small, packed(np.savez))
    assert len(mnist().x_train) == 60


def test_what_is_kept_of_a_pair_cannot_be_written_to(small):
    path = put(small, packed())
    assert not any(array.flags.writeable for array in mnist_file._images(path, 0, 0, 2, 7))


def test_a_file_replaced_on_disk_is_read_again(small):
    path = put(small, packed())
    mnist_pair()
    path.write_bytes(packed(np.savez)[:-1000])
    with pytest.raises(ValueError, match="cannot be read as MNIST"):
        mnist_pair()


@pytest.mark.parametrize("pair", [digits_pair, mnist_pair])
def test_bad_digits_are_named(pair):
    with pytest.raises(ValueError, match="negative must differ from positive, got 4 for both"):
        pair(4, 4)
    with pytest.raises(ValueError, match="positive must be <= 9, got 10"):
        pair(10, 1)
    with pytest.raises(ValueError, match="negative must be an integer"):
        pair(1, "2")


@pytest.mark.skipif(not has_mnist(), reason="MNIST is not on this machine")
def test_the_real_one():
    data = mnist_pair()
    assert data.X.shape == (13454, 784)
    assert (data.y == 1).sum() == 7141
    assert np.linalg.norm(data.X, axis=1).max() == pytest.approx(1, abs=1e-14)


def test_public_names_exist():
    assert all(hasattr(datasets, name) for name in datasets.__all__)


@pytest.mark.parametrize(
    ("system", "variables", "folder"),
    [
        ("linux", {"HOME": "/home/me"}, "/home/me/.cache/learnability"),
        ("linux", {"HOME": "/home/me", "XDG_CACHE_HOME": "/fast"}, "/fast/learnability"),
        ("darwin", {"HOME": "/Users/me"}, "/Users/me/Library/Caches/learnability"),
        ("win32", {"LOCALAPPDATA": "C:/me/Local"}, "C:/me/Local/learnability/learnability/Cache"),
    ],
)
@pytest.mark.skipif(os.name != "posix", reason="other systems' paths are posed as")
def test_the_cache_is_where_the_system_keeps_such(monkeypatch, system, variables, folder):
    for name in ("HOME", "XDG_CACHE_HOME", "LOCALAPPDATA"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(sys, "platform", system)
    assert mnist_file.cache_folder().as_posix() == folder


def test_the_cache_is_where_pooch_keeps_it():
    pooch = pytest.importorskip("pooch")
    assert mnist_file.cache_folder() == pooch.os_cache("learnability")
