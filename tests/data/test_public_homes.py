"""Every data set with a public home, downloaded from a server on this machine: whole, another, or cut off."""

import dataclasses
import hashlib
import tarfile
import threading
import zipfile
from http.server import BaseHTTPRequestHandler, HTTPServer

import numpy as np
import pytest
import torch
from tests.data import house_numbers, stl10_files
from tests.data.idx import write_idx
from tests.data.pictures import write_picture

from onelip import data
from onelip.data import DataError, cifar10, cifar100, mnist, stl10, svhn, tiny_imagenet
from onelip.data.download import cache_folder


def digest(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


def pin(monkeypatch, module, url, archive):
    """Make an archive the public one of a module."""
    monkeypatch.setattr(module, "URL", url + archive.name)
    monkeypatch.setattr(module, "SHA256", digest(archive))


def tar(source, public):
    archive = public / f"{source.name}.tar.gz"
    with tarfile.open(archive, "w:gz", compresslevel=1) as opened:
        opened.add(source, arcname=source.name)
    return archive


def _cifar10(home, public, url, monkeypatch):
    monkeypatch.setattr(cifar10, "N_RECORDS", 10)
    record = np.random.default_rng(0).integers(0, 256, (10, 3073), dtype=np.uint8)
    record[:, 0] = np.arange(10)
    (home / cifar10.FOLDER).mkdir()
    for name in (*cifar10.TRAIN_FILES, cifar10.TEST_FILE):
        record.tofile(home / cifar10.FOLDER / name)
    pin(monkeypatch, cifar10, url, tar(home / cifar10.FOLDER, public))


def _cifar100(home, public, url, monkeypatch):
    (home / cifar100.FOLDER).mkdir()
    for name, file in (("N_TRAIN", cifar100.TRAIN_FILE), ("N_TEST", cifar100.TEST_FILE)):
        monkeypatch.setattr(cifar100, name, 10)
        record = np.random.default_rng(0).integers(0, 100, (10, 3074), dtype=np.uint8)
        record.tofile(home / cifar100.FOLDER / file)
    pin(monkeypatch, cifar100, url, tar(home / cifar100.FOLDER, public))


def _tiny_imagenet(home, public, url, monkeypatch):
    for name in ("N_CLASSES", "N_TRAIN", "N_VALIDATION"):
        monkeypatch.setattr(tiny_imagenet, name, 1)
    top = home / tiny_imagenet.FOLDER
    write_picture(top / "train" / "n1" / "images" / "n1_0.JPEG", (64, 64))
    write_picture(top / "val" / "images" / "val_0.JPEG", (64, 64))
    (top / "val" / "val_annotations.txt").write_text("val_0.JPEG\tn1\t0\t0\t1\t1\n")
    (top / "wnids.txt").write_text("n1\n")
    archive = public / "tiny.zip"
    with zipfile.ZipFile(archive, "w") as opened:
        for path in sorted(top.rglob("*")):
            opened.write(path, path.relative_to(home))
    pin(monkeypatch, tiny_imagenet, url, archive)


def _stl10(home, public, url, monkeypatch):
    stl10_files.shrink(monkeypatch)
    stl10_files.write_stl10(home / stl10.FOLDER)
    # As published, in the middle and far larger than all others.
    (home / stl10.FOLDER / "unlabeled_X.bin").write_bytes(bytes(10**6))
    pin(monkeypatch, stl10, url, tar(home / stl10.FOLDER, public))


def _svhn(home, public, url, monkeypatch):
    house_numbers.shrink(monkeypatch)
    house_numbers.write_svhn(public)
    monkeypatch.setattr(svhn, "URL", url)
    monkeypatch.setattr(svhn, "SHA256", {name: digest(public / name) for name in svhn.SHA256})


def _idx(record):
    def publish(home, public, url, monkeypatch):
        monkeypatch.setattr(mnist, "N_TRAIN", 10)
        monkeypatch.setattr(mnist, "N_TEST", 10)
        write_idx(public, 10, 10)
        files = getattr(mnist, record)
        digests = {name: digest(public / name) for name in files.sha256}
        monkeypatch.setattr(mnist, record, dataclasses.replace(files, url=url, sha256=digests))

    return publish


PUBLISHED = {
    "cifar10": _cifar10,
    "cifar100": _cifar100,
    "fashion-mnist": _idx("FASHION_MNIST"),
    "mnist": _idx("MNIST"),
    "stl10": _stl10,
    "svhn": _svhn,
    "tiny-imagenet": _tiny_imagenet,
}


class Home:
    """A server of the files in a folder, which it sends whole, changed in one byte, or in part."""

    def __init__(self, public):
        self.asked, self.change = [], lambda content: content
        home = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                content = (public / self.path[1:]).read_bytes()
                home.asked.append(self.path[1:])
                self.send_response(200)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(home.change(content))

            def log_message(self, *arguments):
                pass

        self.httpd = HTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.httpd.server_port}/"
        self.thread = threading.Thread(target=self.httpd.serve_forever, args=(0.01,), daemon=True)
        self.thread.start()

    def close(self):
        self.httpd.shutdown()
        self.httpd.server_close()
        self.thread.join()


@pytest.fixture
def server(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    for name in ("public", "home"):
        (tmp_path / name).mkdir()
    running = Home(tmp_path / "public")
    yield running
    running.close()


def left_over():
    return [path for path in cache_folder().rglob("*") if path.is_file()]


def test_every_data_set_with_a_public_home_is_here():
    assert set(PUBLISHED) == {name for name, record in data.available().items() if record.dir == "optional"}


@pytest.mark.parametrize("name", PUBLISHED)
def test_what_arrives_whole_is_kept_and_not_fetched_again(name, server, tmp_path, monkeypatch):
    PUBLISHED[name](tmp_path / "home", tmp_path / "public", server.url, monkeypatch)
    seen = []
    first = data.load(name, progress=lambda done, total: seen.append((done, total)))
    n_asked = len(server.asked)
    assert n_asked == len(set(server.asked)) > 0
    assert seen[0][1] == (tmp_path / "public" / server.asked[0]).stat().st_size
    assert all((cache_folder() / file).is_file() for file in data.available()[name].kept)
    # Neither an archive nor a temporary folder.
    assert {path.parent.name for path in cache_folder().iterdir()} == {"onelip"}
    assert len(list(cache_folder().iterdir())) == 1
    assert not [path for path in left_over() if path.suffix in (".zip", ".tar") or path.name == "unlabeled_X.bin"]
    again = data.load(name)
    assert len(server.asked) == n_asked
    assert torch.equal(first.train.pixels(), again.train.pixels())


@pytest.mark.parametrize("name", PUBLISHED)
@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda content: content[:-1] + bytes([content[-1] ^ 1]), r"has SHA-256 \w{64}, expected \w{64}; the file was"),
        (lambda content: content[: len(content) // 2], r"stopped after \d+ of \d+ bytes|cannot be fetched"),
    ],
)
def test_what_is_another_or_cut_off_is_refused_and_the_next_try_works(
    name, change, sentence, server, tmp_path, monkeypatch
):
    PUBLISHED[name](tmp_path / "home", tmp_path / "public", server.url, monkeypatch)
    whole, server.change = server.change, change
    with pytest.raises(DataError, match=rf"{server.url}.* {sentence}"):
        data.load(name)
    assert left_over() == []
    server.change = whole
    assert len(data.load(name).train) > 0
