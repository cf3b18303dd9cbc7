"""Which images are shown."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from onelip.data import ImageData
from onelip.experiments.examples import choose_examples, margins_of


@given(data=st.data(), total=st.integers(0, 80), n=st.integers(1, 15))
def test_examples_are_certified_distinct_rising_and_spread(data, total, n):
    n_nearest = data.draw(st.integers(0, n))
    radii = torch.tensor(data.draw(st.lists(st.sampled_from([0.0, 0.1, 0.5, 0.7]), min_size=total, max_size=total)))
    labels = torch.arange(total) % 3
    index = choose_examples(radii, labels, n, n_nearest)
    n_certified = int((radii > 0).sum())
    assert len(index) == min(n, n_certified) == len(set(index.tolist()))
    assert bool((radii[index] > 0).all())
    assert bool((radii[index].diff() >= 0).all())
    n_nearest = min(n_nearest, len(index))
    assert radii[index[:n_nearest]].tolist() == radii[radii > 0].sort().values[:n_nearest].tolist()
    rest = n_certified - n_nearest
    for k, position in enumerate(index[n_nearest:]):
        below = int(((radii > 0) & (radii < radii[position])).sum())
        assert below < n_nearest + (k + 1) * rest / (len(index) - n_nearest)


def test_classes_take_turns():
    radii = torch.linspace(0.1, 1.0, 60)
    index = choose_examples(radii, torch.arange(60) % 6, 12, 0)
    assert sorted((index % 6).tolist()) == sorted([0, 1, 2, 3, 4, 5] * 2)


def test_margins_are_those_of_the_logits():
    network = nn.Flatten()
    images = torch.tensor([[0.9, 0.1, 0.5], [0.2, 0.3, 0.4]]).view(2, 3, 1, 1)
    margins = margins_of(network, ImageData(images, torch.tensor([0, 1]), 1.0), batch_size=1)
    assert margins.tolist() == pytest.approx([0.4, -0.1])
