"""Fetch a file once, believe it only if its digest is right, and leave no half file behind."""

from __future__ import annotations

import hashlib
import http.client
import os
import shutil
import tarfile
import tempfile
import urllib.error
import urllib.request
import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path

from onelip.data.images import DataError
from onelip.data.registry import Progress

_CHUNK = 1 << 20
_TIMEOUT_SECONDS = 30.0


def cache_folder() -> Path:
    """Say where downloads are kept.

    Returns:
        `$XDG_CACHE_HOME/onelip`, or `~/.cache/onelip`; it may not exist yet.
    """
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "onelip"


def download(url: str, destination: Path, sha256: str, progress: Progress | None = None) -> None:
    """Fetch a file and verify it; the destination appears whole or not at all.

    Args:
        url: An http or https address.
        destination: Where the file goes; its folder is made.
        sha256: Expected digest, 64 hexadecimal digits.
        progress: Called as `progress(done, total)` in bytes.

    Raises:
        DataError: The server cannot be reached, the transfer ends early, or the digest is another.
    """
    destination.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=f".{destination.name}.", dir=destination.parent)
    part = Path(name)
    try:
        with os.fdopen(handle, "wb"):
            pass
        found = _transfer(url, part, progress)
        if found != sha256:
            raise DataError(f"{url} has SHA-256 {found}, expected {sha256}; the file was discarded, try again later")
        part.replace(destination)
    finally:
        part.unlink(missing_ok=True)


def _transfer(url: str, part: Path, progress: Progress | None) -> str:
    digest = hashlib.sha256()
    done, total = 0, None
    try:
        # The digest is checked before the content is used, so neither scheme nor server is trusted.
        with urllib.request.urlopen(url, timeout=_TIMEOUT_SECONDS) as response, part.open("wb") as file:  # noqa: S310
            length = response.headers.get("Content-Length")
            total = int(length) if length else None
            while chunk := response.read(_CHUNK):
                file.write(chunk)
                digest.update(chunk)
                done += len(chunk)
                if progress is not None:
                    progress(done, total)
    except (urllib.error.URLError, http.client.HTTPException, OSError) as error:
        reason = getattr(error, "reason", None) or error
        raise DataError(
            f"{url} cannot be fetched ({reason}); check the network, or fetch it elsewhere and say where with dir"
        ) from error
    if total is not None and done != total:
        raise DataError(f"{url} stopped after {done} of {total} bytes; try again")
    return digest.hexdigest()


def extract(archive: Path, members: Sequence[str], destination: Path) -> None:
    """Extract named files of a tar archive into a new folder; it appears whole or not at all.

    Nothing but these members is written, each as a regular file under its own last name, so no path, link or device
    in the archive can reach outside.

    Args:
        archive: A tar file, compressed or not.
        members: Names in the archive.
        destination: The folder to make; left as it is if another process made it meanwhile.

    Raises:
        DataError: The archive is broken or lacks a member.
    """
    destination.parent.mkdir(parents=True, exist_ok=True)
    beside = Path(tempfile.mkdtemp(prefix=f".{destination.name}.", dir=destination.parent))
    try:
        with tarfile.open(archive) as opened:
            _extract(opened, members, beside)
        if not destination.exists():
            beside.rename(destination)
    except (tarfile.TarError, EOFError, zlib.error) as error:
        raise DataError(f"{archive} cannot be read as a tar archive; remove it and try again") from error
    finally:
        shutil.rmtree(beside, ignore_errors=True)


def extract_zip(archive: Path, folder: str, destination: Path) -> None:
    """Extract a folder of a zip archive; it appears whole or not at all.

    Only regular files are written, and none outside of the folder: `zipfile` leaves out what leads upwards.

    Args:
        archive: A zip file.
        folder: Name of the folder in it.
        destination: What the folder becomes; left as it is if another process made it meanwhile.

    Raises:
        DataError: The archive is broken or lacks the folder.
    """
    destination.parent.mkdir(parents=True, exist_ok=True)
    beside = Path(tempfile.mkdtemp(prefix=f".{destination.name}.", dir=destination.parent))
    try:
        with zipfile.ZipFile(archive) as opened:
            opened.extractall(beside, [name for name in opened.namelist() if name.startswith(f"{folder}/")])  # noqa: S202
        if not (beside / folder).is_dir():
            raise DataError(f"{archive} has no folder {folder}; it is not the expected archive")
        if not destination.exists():
            (beside / folder).rename(destination)
    except (zipfile.BadZipFile, EOFError, zlib.error) as error:
        raise DataError(f"{archive} cannot be read as a zip archive; remove it and try again") from error
    finally:
        shutil.rmtree(beside, ignore_errors=True)


# In one pass, since going back in a compressed archive means to decompress it from the start.
def _extract(archive: tarfile.TarFile, members: Sequence[str], folder: Path) -> None:
    missing = set(members)
    for found in archive:
        source = archive.extractfile(found) if found.name in missing and found.isreg() else None
        if source is None:
            continue
        with source, (folder / Path(found.name).name).open("wb") as file:
            shutil.copyfileobj(source, file, _CHUNK)
        missing.discard(found.name)
        if not missing:
            break
    if missing:
        raise DataError(f"{archive.name!s} has no file {min(missing)}; it is not the expected archive")
