import pytest
import torch

from onelip.data import available
from onelip.experiments.bench.made_up import files_are_missing, made_up_images
from onelip.experiments.config_data import Data
from onelip.experiments.errors import UserError


def test_made_up_images_have_the_shape_number_and_balance_of_the_real_ones():
    images = made_up_images(Data(name="mnist"))
    assert images.input_shape == (1, 28, 28)
    assert (len(images.train), len(images.test), images.n_classes) == (60_000, 10_000, 10)
    assert torch.equal(images.train.labels.bincount(), torch.full((10,), 6_000))
    assert torch.equal(images.train.pixels(slice(0, 9)), made_up_images(Data(name="mnist")).train.pixels(slice(0, 9)))
    # Uniform on 0..255: the mean is 1/2 and the deviation 1/sqrt(12), within 1e-3 for 47 million of them.
    assert images.train.channel_mean() == pytest.approx([0.5], abs=1e-3)
    assert images.train.channel_std() == pytest.approx([256 / 255 / 12**0.5], abs=1e-3)


def test_every_data_set_that_is_downloaded_says_how_large_it_is():
    unknown = [name for name, record in available().items() if record.dir == "optional" and record.extent is None]
    assert unknown == []


@pytest.mark.parametrize(
    ("section", "named"),
    [(Data(name="idx", dir="nowhere"), "set idx"), (Data(name="svhn", options={"extra": True}), "svhn with data.opt")],
)
def test_unknown_sizes_are_refused(section, named):
    with pytest.raises(UserError, match=named):
        made_up_images(section)


def test_files_are_missing_where_none_are(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert files_are_missing(Data(name="cifar10"))
    assert files_are_missing(Data(name="cifar10", dir=str(tmp_path / "nowhere")))
    assert not files_are_missing(Data(name="cifar10", dir=str(tmp_path)))
    assert not files_are_missing(Data(name="digits"))
    for file in available()["cifar10"].kept:
        (tmp_path / "onelip" / file).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "onelip" / file).touch()
    assert not files_are_missing(Data(name="cifar10"))
    with pytest.raises(UserError, match="did you mean 'digits'"):
        files_are_missing(Data(name="digit"))
