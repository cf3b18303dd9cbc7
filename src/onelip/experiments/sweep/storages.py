"""Where the study of a sweep is kept: a file of SQLite, a journal, or a server of PostgreSQL or Redis, by URL."""

from __future__ import annotations

import contextlib
import re
import sqlite3
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from onelip.experiments.errors import UserError, one_line

if TYPE_CHECKING:
    from optuna.storages import BaseStorage

_FORMS = "sqlite:///PATH, journal:PATH, postgresql://USER:PASSWORD@HOST/DATABASE or redis://HOST:PORT/NUMBER"

_BUSY_SECONDS = 60
"""How long to wait for other processes that write to the same file."""

_CONNECT_SECONDS = 10
"""How long a server may take to answer."""

_NETWORK = (
    *("nfs", "nfs4", "cifs", "smb3", "smbfs", "lustre", "gpfs", "beegfs", "ceph", "glusterfs", "pvfs2", "panfs", "afs"),
    *("wekafs", "9p", "virtiofs"),
)
"""Types of file systems that several machines may share; those in user space (sshfs and others) are `fuse.NAME`."""

_ADVISORY_LOCK = 0x6F6E656C6970
"""Number, the same for all, of the lock under which tables are created in PostgreSQL."""


def default_storage(folder: Path, *, several_machines: bool = False) -> str:
    """Name the storage of a sweep that is told of none.

    Args:
        folder: The sweep's.
        several_machines: Will workers on several machines write to it? SQLite is not for that.

    Returns:
        The URL of what is in the folder already; else of an SQLite file in it, or of a journal if several machines
        write to it or the folder is on a network file system.
    """
    place = folder.absolute()
    database, journal = place / "study.db", place / "study.journal"
    shared = several_machines or _on_network(place)
    return f"journal:{journal}" if journal.exists() or (shared and not database.exists()) else f"sqlite:///{database}"


def open_storage(url: str) -> BaseStorage:
    """Open the storage of a study, and create its tables or files where there are none; any number may do so at once.

    Args:
        url: sqlite:///PATH, journal:PATH (or a path that ends in .journal), postgresql://USER:PASSWORD@HOST/DATABASE,
            redis://HOST:PORT/NUMBER.

    Returns:
        The storage, for Optuna.

    Raises:
        UserError: If the URL is none of these, its extra is not installed, or its server does not answer.
    """
    opener = _opener(url)
    try:
        from optuna import logging
        from optuna.exceptions import ExperimentalWarning
    except ImportError as error:
        raise UserError("sweeps need Optuna; install it with: pip install 'onelip[sweep]'") from error
    # What Optuna says of every study and trial, the sweep says in its own words.
    logging.set_verbosity(logging.WARNING)
    with warnings.catch_warnings():
        # Optuna calls its storage in Redis experimental; it is tested here against a real server.
        warnings.simplefilter("ignore", ExperimentalWarning)
        return opener(url)


def describe_storage(url: str) -> str:
    """Say where a study is, for people.

    Args:
        url: As for `open_storage`.

    Returns:
        The URL without its password.
    """
    # Up to the last @: a password may hold one that is not escaped.
    hidden = re.sub(r"(://[^:/@]*):.*@", r"\1:***@", url)
    return re.sub(r"([?&](?:password|passfile|sslpassword)=)[^&]*", r"\1***", hidden)


def absolute_storage(url: str) -> str:
    """Make a storage's path absolute, for processes that start in other folders.

    Args:
        url: As for `open_storage`.

    Returns:
        A URL of the same storage.
    """
    if url.startswith("sqlite:///"):
        return f"sqlite:///{Path(url.removeprefix('sqlite:///')).absolute()}"
    if _is_journal(url):
        return f"journal:{Path(url.removeprefix('journal:')).absolute()}"
    return url


def _is_journal(url: str) -> bool:
    return url.startswith("journal:") or ("://" not in url and url.endswith(".journal"))


def _opener(url: str) -> Callable[[str], BaseStorage]:
    scheme = "journal" if _is_journal(url) else url.partition("://")[0]
    openers = {
        "sqlite": _open_sqlite,
        "journal": _open_journal,
        "postgresql": _open_postgresql,
        "postgres": _open_postgresql,
        "postgresql+psycopg": _open_postgresql,
        "redis": _open_redis,
        "rediss": _open_redis,
    }
    if scheme not in openers:
        raise _refused(url, f"a study is kept in {_FORMS}")
    return openers[scheme]


def _refused(url: str, why: str) -> UserError:
    shown = one_line(why)
    with contextlib.suppress(ValueError):
        password = urlsplit(url).password
        shown = shown.replace(password, "***") if password else shown
    return UserError(f"storage={describe_storage(url)}: {shown}")


def _file_of(url: str, path: Path) -> Path:
    if not path.parent.is_dir():
        raise _refused(url, f"the folder {path.parent} does not exist")
    if path.is_dir():
        raise _refused(url, "that is a folder; name a file")
    return path


def _open_sqlite(url: str) -> BaseStorage:
    import sqlalchemy.exc

    name = url.removeprefix("sqlite:///")
    if name == url or name in ("", ":memory:") or "?" in name:
        raise _refused(url, "workers share a file; name one, as in sqlite:////shared/study.db")
    path = _file_of(url, Path(name))
    options = {"connect_args": {"timeout": _BUSY_SECONDS, "factory": _Connection}}
    until = time.monotonic() + _BUSY_SECONDS
    with _file_lock(path.with_name(path.name + ".lock")):
        while True:
            try:
                _write_ahead(path)
                return _open_tables(url, url, options)
            except (sqlite3.DatabaseError, sqlalchemy.exc.DatabaseError) as error:
                if "database is locked" not in str(error) or time.monotonic() > until:
                    raise _refused(url, _first_line(getattr(error, "orig", error))) from error
                time.sleep(0.1)


def _write_ahead(path: Path) -> None:
    """Let processes write one after the other without waiting for the disk: 13 ms a trial instead of 31 to 210."""
    if _on_network(path.parent):
        # Its index is in memory that machines do not share.
        return
    with contextlib.closing(sqlite3.connect(path, timeout=_BUSY_SECONDS)) as connection:
        connection.execute("PRAGMA journal_mode=WAL")


class _Connection(sqlite3.Connection):
    """Nothing is lost with a process; with the machine, what was written in its last moments may be."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.execute("PRAGMA synchronous=NORMAL")


# May other machines write there at the same time?
def _on_network(folder: Path, mounts: Path = Path("/proc/self/mounts")) -> bool:
    if not mounts.exists():
        return False
    folder = folder.resolve()
    # Device, mount point, type, ...; the last of the deepest mount points that hold the folder is the one seen.
    listed = [line.split(" ") for line in mounts.read_text("utf-8", "surrogateescape").splitlines()]
    points = [(Path(fields[1].replace("\\040", " ")), fields[2]) for fields in listed]
    holding = [(len(point.parts), kind) for point, kind in points if folder.is_relative_to(point)]
    deepest = max((depth for depth, _ in holding), default=0)
    kinds = [kind for depth, kind in holding if depth == deepest]
    return bool(kinds) and (kinds[-1] in _NETWORK or kinds[-1].startswith("fuse."))


@contextlib.contextmanager
def _file_lock(path: Path) -> Iterator[None]:
    """Keep other processes of this machine out, until the block or the process ends.

    Raises:
        UserError: If the file cannot be written.
    """
    import fcntl

    try:
        file = path.open("a")
    except OSError as error:
        raise UserError(f"{path}: {error.strerror}") from error
    with file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _open_tables(url: str, engine_url: str, options: dict[str, Any]) -> BaseStorage:
    from optuna.storages import RDBStorage

    try:
        return RDBStorage(engine_url, engine_kwargs=options)
    except RuntimeError as error:
        # Its tables are of a version of Optuna that this one cannot read.
        raise _refused(url, str(error)) from error


def _open_journal(url: str) -> BaseStorage:
    from optuna.storages import JournalStorage
    from optuna.storages.journal import JournalFileBackend, JournalFileSymlinkLock

    path = str(_file_of(url, Path(url.removeprefix("journal:")).absolute()))
    try:
        # A symbolic link is created by one alone on every version of NFS, where locks of files are none; what a
        # killed process left is removed after 30 s.
        return JournalStorage(JournalFileBackend(path, lock_obj=JournalFileSymlinkLock(path)))
    except (OSError, ValueError) as error:
        raise _refused(url, f"no journal of a study can be read or begun there: {error}") from error


def _open_postgresql(url: str) -> BaseStorage:
    import sqlalchemy
    import sqlalchemy.exc

    _needs("psycopg", url, "postgres")
    engine_url = "postgresql+psycopg://" + url.partition("://")[2]
    # A connection per operation: workers that train hold none, so hundreds of them fit a server that allows 100.
    options = {"poolclass": sqlalchemy.pool.NullPool, "connect_args": {"connect_timeout": _CONNECT_SECONDS}}
    try:
        engine = sqlalchemy.create_engine(engine_url, **options)
        with engine.connect() as connection:
            # Two that create tables at once fail; the lock ends with the connection.
            connection.execute(sqlalchemy.text(f"SELECT pg_advisory_lock({_ADVISORY_LOCK})"))
            return _open_tables(url, engine_url, options)
    except sqlalchemy.exc.DBAPIError as error:
        raise _refused(url, _first_line(error.orig)) from error
    except (sqlalchemy.exc.SQLAlchemyError, ValueError) as error:
        raise _refused(url, _first_line(error)) from error


def _open_redis(url: str) -> BaseStorage:
    from optuna.storages import JournalStorage
    from optuna.storages.journal import JournalRedisBackend

    _needs("redis", url, "redis")
    import redis

    try:
        with redis.Redis.from_url(url, socket_connect_timeout=_CONNECT_SECONDS) as client:
            client.ping()
        return JournalStorage(JournalRedisBackend(url))
    except (redis.RedisError, ValueError) as error:
        raise _refused(url, _first_line(error)) from error


def _needs(module: str, url: str, extra: str) -> None:
    try:
        __import__(module)
    except ImportError as error:
        raise _refused(url, f"{module} is missing; install it with: pip install 'onelip[{extra}]'") from error


def _first_line(error: BaseException | None) -> str:
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__
