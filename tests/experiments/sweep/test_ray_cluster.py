from __future__ import annotations

import functools
import os
import signal
import sys

import pytest
from tests.experiments.sweep.claiming import Claiming, Failing, Waiting, workers_of
from tests.experiments.sweep.ray_nodes import ray_nodes
from tests.experiments.sweep.servers import free_port

from onelip.experiments.errors import CommandFailedError, UserError
from onelip.experiments.sweep import ray_cluster
from onelip.experiments.sweep.ray_cluster import start_ray
from onelip.experiments.sweep.work import Work

WORK = Work("/shared/runs/methods", "journal:/shared/study.journal")


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::ResourceWarning")  # Of Ray's own sockets and files.
def test_a_machine_is_lost(tmp_path, monkeypatch, capsys):
    pytest.importorskip("ray")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(path for path in sys.path if path))
    before = signal.getsignal(signal.SIGTERM)

    def stop() -> None:
        if (tmp_path / "waiting").exists():
            signal.raise_signal(signal.SIGTERM)

    with ray_nodes() as cluster:
        with pytest.raises(UserError, match=r"has cpus=1 gpus=1; it has [12] with cpus=1 gpus=0 mem="):
            start_ray(WORK, 2, cluster.address, {"gpus": "1"})
        with pytest.raises(CommandFailedError, match=r"^1 of 1 workers failed: ValueError: no such layer$"):
            start_ray(Failing(str(tmp_path), "journal:a"), 1, cluster.client_address, {})
        with pytest.raises(CommandFailedError, match=r"^stopped$") as stopped:
            start_ray(Waiting(str(tmp_path), "journal:a"), 1, cluster.address, {}, stop)
        assert stopped.value.exit_code == 128 + signal.SIGTERM
        assert (tmp_path / "interrupted").exists()
        watched = []

        def kill_half_way() -> None:
            watched.append(len(list(tmp_path.glob("*.done"))))
            began = {process for processes in workers_of(tmp_path).values() for process in processes}
            if len(began) == 2 and watched[-1] >= 3 and cluster.second.poll() is None:
                cluster.kill_second()

        start_ray(Claiming(str(tmp_path), "journal:a", numbers=16), None, cluster.address, {}, kill_half_way)
        assert cluster.second.poll() is not None
    assert signal.getsignal(signal.SIGTERM) == before
    assert len(list(tmp_path.glob("*.done"))) == 16
    said = capsys.readouterr().out
    assert f"2 workers on the Ray cluster at {cluster.address}\n" in said
    assert "the Ray cluster has lost 1 of its 2 machines; their workers start again on others\n" in said
    assert watched[-1] == 16


@pytest.mark.parametrize(
    ("address", "resources", "sentence"),
    [
        ("local", {}, r"^--ray-address local must be auto, HOST:PORT or ray://HOST:PORT$"),
        ("host", {}, r"^--ray-address host must be auto"),
        ("127.0.0.1:PORT", {}, r"^no Ray cluster at 127.0.0.1:\d+: .*[Cc]onnection refused$"),
        ("ray://127.0.0.1:PORT", {}, r"^no Ray cluster at ray://127.0.0.1:\d+: .*[Cc]onnection refused$"),
        ("auto", {"gpu": "1"}, r"^resource of Ray 'gpu' is unknown; did you mean 'gpus'\?$"),
        ("auto", {"gpus": "one"}, r"^gpus=one must be a number$"),
        ("auto", {"mem": "much"}, r"^mem=much must be a number of GB$"),
        ("auto", {"cpus": "0"}, r"^cpus=0: a worker needs"),
    ],
)
def test_mistakes(address, resources, sentence):
    with pytest.raises(UserError, match=sentence):
        start_ray(WORK, 2, address.replace("PORT", str(free_port())), resources)


def test_no_cluster_and_no_ray(tmp_path, monkeypatch):
    pytest.importorskip("ray")
    monkeypatch.setenv("RAY_TMPDIR", str(tmp_path))
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    # It looks through all processes, and may find the cluster of the test above, run by another worker.
    monkeypatch.setattr("ray._private.services.find_gcs_addresses", functools.cache(list))
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(UserError, match=r"^no Ray cluster at auto: \S[^\n]*[^.]$"):
        start_ray(WORK, 2, "auto", {})
    assert signal.getsignal(signal.SIGTERM) == before
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(UserError, match=r"pip install 'onelip\[ray\]'"):
        start_ray(WORK, 2, "auto", {})


def test_room():
    nodes = [
        {"Alive": True, "Resources": {"CPU": 8.0, "GPU": 2.0, "memory": 64e9}},
        {"Alive": True, "Resources": {"CPU": 4.0, "memory": 32e9}},
        {"Alive": False, "Resources": {"CPU": 64.0, "GPU": 8.0, "memory": 64e9}},
    ]
    for resources, room in [
        ({}, 12),
        ({"gpus": "1"}, 2),
        ({"gpus": "0.1"}, 8),
        ({"cpus": "5"}, 1),
        ({"mem": "20GB"}, 4),
    ]:
        assert ray_cluster._room(nodes, ray_cluster._asked(resources)) == room
    assert ray_cluster._asked({"gpus": "0.1", "cpus": "0"}) == {"CPU": 0.0, "GPU": 0.1, "memory": 0.0}
    assert ray_cluster._shown({"CPU": 2.0, "memory": 20e9}) == "cpus=2 gpus=0 mem=20GB"


def test_lost_machines_are_told_of(capsys):
    node = {"Alive": True, "NodeID": "a", "NodeManagerHostname": "one", "Resources": {"CPU": 1.0}}
    machines = ray_cluster._Machines({"CPU": 1.0})
    for nodes in ([node], [node], [{**node, "Alive": False}], [{**node, "Alive": False}], [{**node, "NodeID": "b"}]):
        machines.look(nodes)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 2
    assert lines[0].startswith("the Ray cluster has lost 1 of its 1 machines")
    assert lines[1] == "no machine with cpus=1 gpus=0 is left; waiting for one to join"
