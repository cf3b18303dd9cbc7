"""Subsets of training images: drawn or read, kept in the run folder, and the same when the run goes on."""

import pytest
import torch
from tests.data.pictures import write_classes

from onelip.data import balanced_subset, hold_out, load, read_indices, write_indices
from onelip.experiments import UserError, create_run_folder, load_config
from onelip.experiments.preparation import prepare
from onelip.experiments.subset import choose_images, keep_indices
from onelip.experiments.training import train

SMALL = ["trainer.threads=1", "model={name: mlp, widths: [16]}", "seed=3"]
OWN = ["data.validation=null", "data.subset={per_class: 7, validation_per_class: 2}"]


def prepared(*changes):
    return prepare(load_config("digits", [*SMALL, *changes]))


@pytest.fixture(scope="module")
def digits():
    return load("digits")


def same(part, images):
    return torch.equal(part.images, images.images) and torch.equal(part.labels, images.labels)


def test_a_run_learns_from_the_drawn_images_and_validates_with_the_next(digits):
    experiment = prepared(*OWN)
    learned, held = balanced_subset(digits.train.labels, 7, 3, validation_per_class=2)
    assert same(experiment.train, digits.train.subset(learned))
    assert same(experiment.validation, digits.train.subset(held))
    assert experiment.train.labels.bincount().tolist() == [7] * 10
    assert len(experiment.data.train) == len(digits.train)
    # The other images are unknown to the network, too.
    assert experiment.model.normalize.mean.item() == pytest.approx(experiment.train.channel_mean()[0], rel=1e-6)
    assert experiment.model.normalize.mean.item() != pytest.approx(digits.train.channel_mean()[0], rel=1e-4)


def test_without_validation_images_of_its_own_the_share_is_of_all_images_and_beside_the_subset(digits):
    chosen = prepared("data.subset={per_class: 7}").chosen
    assert torch.equal(chosen.train, balanced_subset(digits.train.labels, 7, 3)[0])
    assert torch.equal(chosen.validation, hold_out(digits.train.labels, 0.05, 3, chosen.train))
    assert 60 < len(chosen.validation) < 80
    assert not set(chosen.train.tolist()) & set(chosen.validation.tolist())


def test_the_subset_has_a_seed_of_its_own_if_wanted():
    draws = [
        choose_images(load_config("digits", [f"data.subset={{per_class: 7, seed: {seed}}}"]).data, load("digits"), run)
        for seed, run in ((5, 1), (5, 2), (6, 1), ("null", 5))
    ]
    assert torch.equal(draws[0].train, draws[1].train)
    assert torch.equal(draws[0].train, draws[3].train)
    assert not torch.equal(draws[0].train, draws[2].train)
    assert not torch.equal(draws[0].validation, draws[1].validation)
    assert choose_images(load_config("digits").data, load("digits"), 0) is None


def test_files_of_indices_are_read_in_their_order(tmp_path, monkeypatch, digits):
    monkeypatch.chdir(tmp_path)
    write_indices(tmp_path / "a.txt", torch.tensor([40, 3, 9]))
    write_indices(tmp_path / "b.txt", torch.tensor([8, 1000]))
    both = prepared("data.validation=null", "data.subset={indices: a.txt, validation_indices: b.txt}")
    assert same(both.train, digits.train.subset(torch.tensor([40, 3, 9])))
    assert same(both.validation, digits.train.subset(torch.tensor([8, 1000])))
    share = prepared("data.subset={indices: a.txt}").chosen
    assert torch.equal(share.validation, hold_out(digits.train.labels, 0.05, 3, share.train))
    none = prepared("data.subset={indices: a.txt}", "data.validation=0", "certify.weights=last")
    assert len(none.validation) == 0


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        (["data.subset={per_class: 150}"], "per_class=150 .* ask for 150 images of class '.', which has 1"),
        (
            ["data.validation=0.5", "data.subset={per_class: 100}"],
            r"fraction=0.5 of the \d+ images of class 0 are \d+ to ",
        ),
        (
            ["data.validation=1e-3", "data.subset={per_class: 7}"],
            "data.validation=0.001 of the training images holds none out",
        ),
        (["data.subset={indices: none.txt}"], "none.txt is missing or no text file"),
        (["data.subset={indices: far.txt}"], r"line 2 of far.txt says '1438'; indices of images are 0\.\.1437"),
        (
            ["data.validation=null", "data.subset={indices: a.txt, validation_indices: b.txt}"],
            "index 3 is in both a.txt and b.txt; an image is learned or validates",
        ),
    ],
)
def test_what_does_not_fit_the_data_is_refused(changes, sentence, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name, indices in (("a.txt", [40, 3, 9]), ("b.txt", [8, 3]), ("far.txt", [0, 1438])):
        write_indices(tmp_path / name, torch.tensor(indices))
    with pytest.raises(UserError, match=sentence):
        prepared(*changes)


@pytest.mark.parametrize("own", [True, False])
def test_a_run_keeps_its_indices_and_goes_on_with_them(tmp_path, own, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_indices(tmp_path / "a.txt", torch.arange(200, 20, -3))
    validation = "data.validation=null" if own else "data.validation=0.1"
    subset = "{per_class: 7, validation_per_class: 2}" if own else "{indices: a.txt}"
    first = prepared(validation, f"data.subset={subset}", f"runs_dir={tmp_path}", "trainer.max_epochs=1")
    folder = create_run_folder(first.config)
    assert folder.config() == first.config
    train(first, folder)
    for file, indices in (
        (folder.train_indices_file, first.chosen.train),
        (folder.validation_indices_file, first.chosen.validation),
    ):
        assert torch.equal(read_indices(file, 1438), indices)
        assert file.parent == folder.path
    # Neither another file nor another draw changes what the run learns from.
    write_indices(tmp_path / "a.txt", torch.arange(5))
    monkeypatch.setattr("onelip.experiments.subset.balanced_subset", None)
    again = prepare(folder.config())
    assert same(again.train, first.train)
    assert same(again.validation, first.validation)
    assert torch.equal(again.model.normalize.mean, first.model.normalize.mean)
    before = folder.train_indices_file.stat().st_mtime_ns
    train(again, folder, resume=True)
    assert folder.train_indices_file.stat().st_mtime_ns == before
    folder.train_indices_file.unlink()
    with pytest.raises(UserError, match=r"train_indices.txt is missing; which images the run learns from is not known"):
        folder.config()


def test_without_validation_images_there_is_one_file(tmp_path):
    changes = [
        *SMALL,
        "data.validation=0",
        "certify.weights=last",
        "data.subset={per_class: 3}",
        f"runs_dir={tmp_path}",
    ]
    config = load_config("digits", changes)
    folder = create_run_folder(config)
    keep_indices(choose_images(config.data, load("digits"), 3), folder)
    assert not folder.validation_indices_file.exists()
    kept = folder.config().data
    assert (kept.validation, kept.subset.validation_indices) == (0.0, None)
    assert len(prepare(folder.config()).train) == 30


def test_images_on_disk_are_chosen_without_reading_them(tmp_path):
    for part, n_images in (("train", 6), ("test", 1)):
        write_classes(tmp_path / part, ("ant", "bee", "cat"), n_images)
    streamed = ["data.options={size: 8, resize: 10}", "data.name=folder-stream", f"data.dir={tmp_path}"]
    experiment = prepared(*streamed, "data.validation=null", "data.subset={per_class: 3, validation_per_class: 2}")
    assert experiment.train.labels.tolist() == [0] * 3 + [1] * 3 + [2] * 3
    assert experiment.validation.labels.tolist() == [0, 0, 1, 1, 2, 2]
    every = load("folder-stream", tmp_path).train
    assert list(experiment.train.files) == [every.files[i] for i in experiment.chosen.train.tolist()]
    with pytest.raises(UserError, match="ask for 7 images of class 'ant', which has 6"):
        prepared(*streamed, "data.validation=null", "data.subset={per_class: 5, validation_per_class: 2}")
