import threading
import time

import pytest

from onelip.experiments.file_lock import locked


def test_one_at_a_time(tmp_path):
    path, inside, order = tmp_path / "table.csv", threading.Event(), []

    def second():
        inside.wait()
        with locked(path):
            order.append("second")

    thread = threading.Thread(target=second)
    thread.start()
    with locked(path):
        inside.set()
        # Time enough for the other one, if it did not wait.
        time.sleep(0.2)
        order.append("first")
    thread.join()
    assert order == ["first", "second"]
    assert [file.name for file in tmp_path.iterdir()] == [".table.csv.lock"]


def test_what_fails_gives_the_lock_back(tmp_path):
    path = tmp_path / "table.csv"
    for _ in range(2):
        with pytest.raises(ValueError, match="no"), locked(path):
            raise ValueError("no")
