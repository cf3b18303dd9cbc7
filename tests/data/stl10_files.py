"""STL-10's files in their true format, with few images."""

import numpy as np

from onelip.data import stl10


def shrink(monkeypatch, n_train=12, n_test=5, n_of_fold=4):
    for name, count in (("N_TRAIN", n_train), ("N_TEST", n_test), ("N_OF_FOLD", n_of_fold)):
        monkeypatch.setattr(stl10, name, count)


def write_stl10(home):
    """Write the files; return images `(N, H, W, 3)` and labels from 1, by part, and the folds."""
    home.mkdir(parents=True, exist_ok=True)
    rng, parts = np.random.default_rng(0), {}
    for part, count in (("train", stl10.N_TRAIN), ("test", stl10.N_TEST)):
        images = rng.integers(0, 256, (count, 96, 96, 3), dtype=np.uint8)
        labels = (np.arange(count) % 10 + 1).astype(np.uint8)
        # Of each image the red plane, then green and blue; of a plane column after column.
        (home / f"{part}_X.bin").write_bytes(images.transpose(0, 3, 2, 1).tobytes())
        (home / f"{part}_y.bin").write_bytes(labels.tobytes())
        parts[part] = images, labels
    folds = [rng.permutation(stl10.N_TRAIN)[: stl10.N_OF_FOLD].tolist() for _ in range(stl10.N_FOLDS)]
    (home / "fold_indices.txt").write_text("".join(" ".join(map(str, fold)) + " \n" for fold in folds))
    (home / "class_names.txt").write_text("\n".join(stl10.CLASSES) + "\n")
    return parts, folds
