from __future__ import annotations

import multiprocessing
import pickle
import sqlite3
import sys
from multiprocessing.connection import Connection
from multiprocessing.synchronize import Barrier
from pathlib import Path

import pytest
from tests.experiments.sweep.servers import free_port, postgresql_server, redis_server

from onelip.experiments.errors import UserError
from onelip.experiments.sweep import storages
from onelip.experiments.sweep.storages import absolute_storage, default_storage, describe_storage, open_storage

optuna = pytest.importorskip("optuna")

REPEATS = 5


def claim(url: str, together: Barrier, connection: Connection, trials: int) -> None:
    """Open each storage at the same moment as another process, then do trials in the last one."""
    for repeat in range(REPEATS):
        together.wait(60)
        storage = open_storage(url.replace("REPEAT", str(repeat)))
        study = optuna.create_study(storage=storage, study_name=f"study {repeat}", load_if_exists=True)
    numbers = []
    for _ in range(trials):
        trial = study.ask()
        value = trial.suggest_float("x", 0.0, 1.0)
        trial.set_user_attr("folder", f"search/{trial.number:04}")
        study.tell(trial, value)
        numbers.append(trial.number)
    connection.send(numbers)


def claim_by_two(url: str) -> list[int]:
    """Two processes create REPEATS studies at once and do 20 trials each in the last one; the trials' numbers."""
    # Forked, as importing torch twice takes longer than all tests; nothing is connected yet.
    context = multiprocessing.get_context("fork")
    together, (receiving, sending) = context.Barrier(2), context.Pipe(duplex=False)
    both = [context.Process(target=claim, args=(url, together, sending, 20)) for _ in range(2)]
    for process in both:
        process.start()
    for process in both:
        process.join(60)
    assert [process.exitcode for process in both] == [0, 0]
    return [number for _ in both for number in receiving.recv()]


def check_shared(url: str) -> None:
    """What two processes claimed is unique, and this third one reads what they wrote."""
    numbers = claim_by_two(url)
    assert sorted(numbers) == list(range(40))
    study = optuna.load_study(storage=open_storage(url.replace("REPEAT", str(REPEATS - 1))), study_name="study 4")
    assert [trial.number for trial in study.trials] == list(range(40))
    for trial in study.trials:
        assert trial.user_attrs == {"folder": f"search/{trial.number:04}"}
        assert trial.value == trial.params["x"]


def test_sqlite_is_shared(tmp_path):
    check_shared(f"sqlite:///{tmp_path}/studyREPEAT.db")


def test_a_journal_is_shared(tmp_path):
    check_shared(f"journal:{tmp_path}/studyREPEAT.log")


@pytest.mark.slow
def test_redis_is_shared(tmp_path):
    with redis_server(tmp_path) as url:
        check_shared(url)
        with pytest.raises(UserError, match=r"storage=redis://:\*\*\*@127.0.0.1.*[Pp]assword|WRONGPASS") as caught:
            open_storage(url.replace("se%40cret", "wro%40ng"))
        assert "wro" not in str(caught.value)


@pytest.mark.slow
def test_postgresql_is_shared():
    with postgresql_server() as url:
        check_shared(url)
        with pytest.raises(UserError, match=r"storage=postgresql://owner:\*\*\*@.*password authentication") as caught:
            open_storage(url.replace("se%40cret", "wro%40ng"))
        assert "wro" not in str(caught.value)
        with pytest.raises(UserError, match=r'database "nowhere" does not exist'):
            open_storage(url.replace("/postgres", "/nowhere"))


def test_a_server_that_does_not_answer():
    port = free_port()
    for url in (f"postgresql://me:hunter2@127.0.0.1:{port}/db", f"redis://:hunter2@127.0.0.1:{port}/0"):
        with pytest.raises(UserError, match=rf"^storage=\w+://\w*:\*\*\*@127.0.0.1:{port}/.*refused") as caught:
            open_storage(url)
        assert "hunter2" not in str(caught.value)
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("url", "sentence"),
    [
        ("mysql://host/db", r"^storage=mysql://host/db: a study is kept in sqlite:///PATH, journal:PATH, postgresql:"),
        ("study.db", r"^storage=study.db: a study is kept in"),
        ("sqlite://", r"^storage=sqlite://: workers share a file"),
        ("sqlite:///:memory:", r"^storage=sqlite:///:memory:: workers share a file"),
        ("sqlite:///nowhere/study.db", r"^storage=sqlite:///nowhere/study.db: the folder nowhere does not exist"),
        ("journal:nowhere/a.log", r"^storage=journal:nowhere/a.log: the folder .*nowhere does not exist"),
        ("postgresql://me:pw@host:port/db", r"^storage=postgresql://me:\*\*\*@host:port/db: "),
        ("redis://me:pw@host:port/0", r"^storage=redis://me:\*\*\*@host:port/0: "),
    ],
)
def test_what_is_no_storage(url, sentence, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=sentence):
        open_storage(url)
    assert not list(tmp_path.iterdir())


def test_files_of_something_else(tmp_path):
    (tmp_path / "study.db").write_text("lr: 0.1\n" * 500)
    with pytest.raises(UserError, match=r"study\.db: file is not a database$"):
        open_storage(f"sqlite:///{tmp_path}/study.db")
    (tmp_path / "old.journal").write_text("lr: 0.1\n" * 3)
    with pytest.raises(UserError, match=r"old\.journal: no journal of a study can be read"):
        open_storage(f"{tmp_path}/old.journal")
    with pytest.raises(UserError, match=r"that is a folder"):
        open_storage(f"journal:{tmp_path}")


@pytest.mark.parametrize(
    ("module", "url", "command"),
    [
        ("optuna", "sqlite:///study.db", r"pip install 'onelip\[sweep\]'"),
        ("psycopg", "postgresql://me:pw@host/db", r"pip install 'onelip\[postgres\]'"),
        ("redis", "redis://host:6379/0", r"pip install 'onelip\[redis\]'"),
    ],
)
def test_a_missing_extra(module, url, command, monkeypatch):
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(UserError, match=command):
        open_storage(url)


def test_tables_of_another_version(tmp_path):
    url = f"sqlite:///{tmp_path}/study.db"
    open_storage(url)
    with sqlite3.connect(tmp_path / "study.db") as connection:
        connection.execute("UPDATE alembic_version SET version_num = 'v0.9.0.a'")
    connection.close()
    with pytest.raises(UserError, match=r"^storage=sqlite:.*optuna"):
        open_storage(url)


def test_a_busy_database_is_waited_for(tmp_path, monkeypatch):
    tried = []
    create = storages._open_tables

    def busy_twice(*arguments):
        tried.append(arguments)
        if len(tried) < 3:
            raise sqlite3.OperationalError("database is locked")
        return create(*arguments)

    monkeypatch.setattr(storages, "_open_tables", busy_twice)
    open_storage(f"sqlite:///{tmp_path}/study.db")
    assert len(tried) == 3
    tried.clear()
    monkeypatch.setattr(storages, "_BUSY_SECONDS", 0)
    with pytest.raises(UserError, match="database is locked"):
        open_storage(f"sqlite:///{tmp_path}/study.db")


def test_sqlite_writes_ahead(tmp_path):
    storage = open_storage(f"sqlite:///{tmp_path}/study.db")
    for opened in (storage, pickle.loads(pickle.dumps(storage))):
        with opened.engine.connect() as connection:
            assert connection.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"
            assert connection.exec_driver_sql("PRAGMA synchronous").scalar() == 1
            assert connection.exec_driver_sql("PRAGMA busy_timeout").scalar() == 60_000


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("postgresql://me:p@ss:w/rd@host:5432/db", "postgresql://me:***@host:5432/db"),
        ("redis://:secret@host:6379/1", "redis://:***@host:6379/1"),
        ("postgresql://host/db?user=me&password=secret&sslmode=require",
         "postgresql://host/db?user=me&password=***&sslmode=require"),
        ("postgresql://me@host/db", "postgresql://me@host/db"),
        ("sqlite:////shared/a@b.db", "sqlite:////shared/a@b.db"),
        ("journal:/shared/study.log", "journal:/shared/study.log"),
    ],
)  # fmt: skip
def test_a_password_is_hidden(url, shown):
    assert describe_storage(url) == shown


def test_paths_become_absolute(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert absolute_storage("sqlite:///runs/study.db") == f"sqlite:///{tmp_path}/runs/study.db"
    assert absolute_storage(f"sqlite:///{tmp_path}/study.db") == f"sqlite:///{tmp_path}/study.db"
    assert absolute_storage("journal:a.log") == f"journal:{tmp_path}/a.log"
    assert absolute_storage("a.journal") == f"journal:{tmp_path}/a.journal"
    assert absolute_storage("redis://host:6379/0") == "redis://host:6379/0"


def test_a_default(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(storages, "_on_network", lambda folder: False)
    assert default_storage(Path("runs")) == f"sqlite:///{tmp_path}/runs/study.db"
    assert default_storage(Path("runs"), several_machines=True) == f"journal:{tmp_path}/runs/study.journal"
    monkeypatch.setattr(storages, "_on_network", lambda folder: True)
    assert default_storage(Path("runs")) == f"journal:{tmp_path}/runs/study.journal"


@pytest.mark.parametrize(("first", "name"), [(True, "study.journal"), (False, "study.db")])
def test_a_default_stays(first, name, tmp_path, monkeypatch):
    monkeypatch.setattr(storages, "_on_network", lambda folder: False)
    url = default_storage(tmp_path, several_machines=first)
    open_storage(url)
    assert (tmp_path / name).exists()
    assert default_storage(tmp_path, several_machines=False) == url
    assert default_storage(tmp_path, several_machines=True) == url


def test_network_file_systems_are_known(tmp_path, monkeypatch):
    mounts = tmp_path / "mounts"
    mounts.write_text(
        "rootfs / ext4 rw 0 0\nserver:/data /data nfs4 rw 0 0\nsdb /data/scratch xfs rw 0 0\n"
        f"me@host: /mnt/my\\040files fuse.sshfs rw 0 0\nauto {tmp_path}/late autofs rw 0 0\n"
        f"server:/late {tmp_path}/late lustre rw 0 0\n"
    )
    for folder, network in [
        ("/data/me/runs", True), ("/data/scratch/runs", False), ("/var/runs", False), ("/datas", False),
        ("/mnt/my files/runs", True), (f"{tmp_path}/late/runs", True), (f"{tmp_path}/runs", False),
    ]:  # fmt: skip
        assert storages._on_network(Path(folder), mounts) == network, folder
    assert not storages._on_network(Path("/data/me"), tmp_path / "none")
    monkeypatch.setattr(storages, "_on_network", lambda folder: True)
    storage = open_storage(f"sqlite:///{tmp_path}/study.db")
    with storage.engine.connect() as connection:
        assert connection.exec_driver_sql("PRAGMA journal_mode").scalar() == "delete"
