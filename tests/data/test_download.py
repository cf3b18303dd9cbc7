"""Downloads from a server on this machine: whole and verified, or one sentence and nothing left."""

import hashlib
import io
import tarfile
import threading
import zipfile
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from onelip.data import DataError
from onelip.data.download import cache_folder, download, extract, extract_zip

CONTENT = bytes(range(256)) * 9000
DIGEST = hashlib.sha256(CONTENT).hexdigest()


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        if self.path == "/missing":
            self.send_error(404)
            return
        self.send_response(200)
        if self.path != "/unsized":
            self.send_header("Content-Length", str(len(CONTENT)))
        self.end_headers()
        self.wfile.write(CONTENT[: 1000 if self.path == "/short" else None])

    def log_message(self, *arguments):
        pass


@pytest.fixture(scope="module")
def server():
    httpd = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=httpd.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{httpd.server_port}"
    httpd.shutdown()
    httpd.server_close()
    thread.join()


@pytest.mark.parametrize(("path", "total"), [("/file", len(CONTENT)), ("/unsized", None)])
def test_a_right_file_arrives_whole(server, tmp_path, path, total):
    seen = []
    target = tmp_path / "new" / "file.bin"
    download(server + path, target, DIGEST, lambda done, of: seen.append((done, of)))
    assert target.read_bytes() == CONTENT
    assert seen[-1] == (len(CONTENT), total)
    assert [p.name for p in target.parent.iterdir()] == ["file.bin"]


@pytest.mark.parametrize(
    ("path", "digest", "sentence"),
    [
        ("/file", "0" * 64, f"SHA-256 {DIGEST}, expected 000"),
        ("/short", DIGEST, "1000|cannot be fetched"),
        ("/missing", DIGEST, "cannot be fetched .*Not Found"),
    ],
)
def test_a_wrong_short_or_missing_file_is_refused_and_nothing_is_left(server, tmp_path, path, digest, sentence):
    with pytest.raises(DataError, match=sentence):
        download(server + path, tmp_path / "file.bin", digest)
    assert list(tmp_path.iterdir()) == []


def test_without_a_network_the_sentence_says_what_to_do(tmp_path):
    # Port 9 of the local machine: nobody listens there.
    with pytest.raises(DataError, match=r"cannot be fetched .*check the network, or fetch it elsewhere"):
        download("http://127.0.0.1:9/file", tmp_path / "file.bin", DIGEST)
    assert list(tmp_path.iterdir()) == []


def test_an_interrupt_leaves_nothing(server, tmp_path):
    def stop(done, total):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        download(f"{server}/file", tmp_path / "file.bin", DIGEST, stop)
    assert list(tmp_path.iterdir()) == []


def tar_with(path, *infos):
    with tarfile.open(path, "w:gz") as archive:
        for info in infos:
            archive.addfile(info, io.BytesIO(b"x" * info.size))
    return path


def member(name, size=3, **fields):
    info = tarfile.TarInfo(name)
    info.size = size
    for key, value in fields.items():
        setattr(info, key, value)
    return info


def test_only_the_named_members_are_written(tmp_path):
    archive = tar_with(tmp_path / "a.tar.gz", member("in/one"), member("in/two"), member("../../evil"))
    extract(archive, ["in/one"], tmp_path / "out")
    assert [p.name for p in (tmp_path / "out").iterdir()] == ["one"]
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.tar.gz", "out"]


@pytest.mark.parametrize(
    "infos",
    [
        (),
        (member("in/one", 0, type=tarfile.SYMTYPE, linkname="/etc/hostname"),),
        (member("in/one", 0, type=tarfile.DIRTYPE),),
    ],
)
def test_a_missing_member_or_a_link_in_its_place_is_refused(tmp_path, infos):
    archive = tar_with(tmp_path / "a.tar.gz", member("in/other"), *infos)
    with pytest.raises(DataError, match="has no file in/one"):
        extract(archive, ["in/other", "in/one"], tmp_path / "out")
    assert [p.name for p in tmp_path.iterdir()] == ["a.tar.gz"]


@pytest.mark.parametrize("keep", [0, 60])
def test_a_truncated_archive_is_refused(tmp_path, keep):
    archive = tar_with(tmp_path / "a.tar.gz", member("in/one", 5000))
    archive.write_bytes(archive.read_bytes()[:keep])
    with pytest.raises(DataError, match=r"a.tar.gz cannot be read as a tar archive"):
        extract(archive, ["in/one"], tmp_path / "out")
    assert [p.name for p in tmp_path.iterdir()] == ["a.tar.gz"]


def test_a_folder_that_exists_already_is_left_as_it_is(tmp_path):
    archive = tar_with(tmp_path / "a.tar.gz", member("in/one"))
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine").touch()
    extract(archive, ["in/one"], tmp_path / "out")
    assert [p.name for p in (tmp_path / "out").iterdir()] == ["mine"]


def zip_with(path, *names):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in names:
            archive.writestr(name, f"content of {name}" * 100)
    return path


def test_a_folder_of_a_zip_archive_is_extracted_and_nothing_else(tmp_path):
    archive = zip_with(
        tmp_path / "a.zip", "in/one", "in/deep/two", "out/three", "../evil", "in/../../../worse", "/root"
    )
    extract_zip(archive, "in", tmp_path / "new" / "home")
    written = [p for p in (tmp_path / "new").rglob("*") if p.is_file()]
    assert sorted(p.name for p in written) == ["one", "two", "worse"]
    assert all(p.is_relative_to(tmp_path / "new" / "home") for p in written)
    assert (tmp_path / "new" / "home" / "deep" / "two").read_text() == "content of in/deep/two" * 100
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.zip", "new"]


def test_a_broken_or_other_zip_archive_is_refused(tmp_path):
    archive = zip_with(tmp_path / "a.zip", "other/one")
    with pytest.raises(DataError, match="has no folder in; it is not the expected archive"):
        extract_zip(archive, "in", tmp_path / "home")
    archive.write_bytes(archive.read_bytes()[:60])
    with pytest.raises(DataError, match=r"a\.zip cannot be read as a zip archive"):
        extract_zip(archive, "in", tmp_path / "home")
    assert [p.name for p in tmp_path.iterdir()] == ["a.zip"]


def test_a_folder_that_exists_already_is_not_replaced_from_a_zip(tmp_path):
    (tmp_path / "home").mkdir()
    extract_zip(zip_with(tmp_path / "a.zip", "in/one"), "in", tmp_path / "home")
    assert list((tmp_path / "home").iterdir()) == []
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.zip", "home"]


def test_the_cache_follows_the_desktop_standard(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_folder() == tmp_path / "onelip"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert cache_folder() == tmp_path / ".cache" / "onelip"
