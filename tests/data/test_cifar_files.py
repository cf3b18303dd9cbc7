"""Records of any number of labels; what is special to a data set is tested with it."""

import numpy as np
import pytest

from onelip.data import DataError
from onelip.data.cifar_files import CIFARFiles, load_cifar

FILES = CIFARFiles("toy", "Toy", "http://127.0.0.1:9/toy.tar.gz", "0" * 64, "toy-bin", {"a": 2, "b": 1}, 3, ("x", "y"))


def write(home, labels=(0, 1, 1)):
    records = np.zeros((3, FILES.record_bytes), np.uint8)
    records[:, 2] = labels
    records[:, 3:] = np.arange(3)[:, None] + 1
    records[:2].tofile(home / "a")
    records[2:].tofile(home / "b")


def test_the_last_label_counts_and_the_last_file_is_the_test_part(tmp_path):
    write(tmp_path)
    seen = []
    loaded = load_cifar(FILES, tmp_path, lambda *done: seen.append(done))
    assert FILES.record_bytes == 3075
    assert (loaded.train.labels.tolist(), loaded.test.labels.tolist()) == ([0, 1], [1])
    assert loaded.train.images.flatten(1).unique(dim=1).tolist() == [[1], [2]]
    assert loaded.test.images.unique().tolist() == [3]
    assert seen == [(2 * 3075, 3 * 3075), (3 * 3075, 3 * 3075)]


def test_a_label_of_no_class_is_refused(tmp_path):
    write(tmp_path, (0, 2, 1))
    with pytest.raises(DataError, match=r"a has label 2 in record 1; labels of Toy are 0..1"):
        load_cifar(FILES, tmp_path, None)


def test_without_a_network_the_sentence_says_what_to_do(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    with pytest.raises(DataError, match=r"toy.tar.gz cannot be fetched .*fetch it elsewhere and say where with dir"):
        load_cifar(FILES, None, None)
    assert list((tmp_path / "onelip").iterdir()) == []
