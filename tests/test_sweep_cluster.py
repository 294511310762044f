"""Tasks on a Dask cluster: the same rows, and an address that is none of a scheduler's is refused."""

from __future__ import annotations

import socket
import threading

import pytest

import toys
from learnability.errors import RequestError
from learnability.sweep import cluster
from sweeping import by_key, execute, task


def test_a_running_cluster_gives_the_rows_of_this_process(monkeypatch):
    from distributed import LocalCluster

    monkeypatch.setattr(cluster, "CONNECT_SECONDS", 60)
    pending = toys.tasks(toys.TOYS["toy/walk"], "laptop")
    with LocalCluster(n_workers=1, threads_per_worker=1, dashboard_address="127.0.0.1:0", silence_logs=50) as running:
        there = execute(pending, scheduler=running.scheduler_address)
    assert by_key(there) == by_key(execute(pending))


def test_a_scheduler_without_workers_is_named(monkeypatch):
    from distributed import LocalCluster

    with LocalCluster(n_workers=0, dashboard_address="127.0.0.1:0", silence_logs=50) as running:
        monkeypatch.setattr(cluster, "CONNECT_SECONDS", 30)  # time to connect, however busy the machine
        address = running.scheduler_address
        monkeypatch.setattr(cluster, "WORKER_SECONDS", 0.1)
        with pytest.raises(RequestError, match="it has no workers"):
            execute([task({"n": 3})], scheduler=address)


def listener(banner):
    """A port where somebody listens who is no scheduler."""
    server = socket.socket()
    server.bind(("127.0.0.1", 0))
    server.listen(5)
    kept = [server]

    def answer():
        while True:
            try:
                caller, _ = server.accept()
            except OSError:
                return
            kept.append(caller)
            caller.sendall(banner)

    threading.Thread(target=answer, daemon=True).start()
    return kept


@pytest.mark.parametrize(
    "banner", [b"", b"SSH-2.0-OpenSSH_9.2p1\r\n", b"220 mail\r\n"], ids=["silent", "ssh", "mail"]
)
def test_whoever_else_listens_there_is_no_scheduler(banner, monkeypatch):
    monkeypatch.setattr(cluster, "CONNECT_SECONDS", 1.0)
    kept = listener(banner)
    address = f"tcp://127.0.0.1:{kept[0].getsockname()[1]}"
    with pytest.raises(RequestError, match=f"scheduler must be .* got {address!r}: what listens there "):
        execute([task({"n": 3})], scheduler=address)
    for one in kept:
        one.close()


@pytest.mark.parametrize("address", ["tcp://127.0.0.1:9", "nonsense", "frob://127.0.0.1:9", ""])
def test_a_wrong_scheduler_is_named(address, monkeypatch):
    monkeypatch.setattr(cluster, "CONNECT_SECONDS", 1.0)
    with pytest.raises(RequestError, match=f"scheduler must be .* got {address!r}"):
        execute([task({"n": 3})], scheduler=address)
