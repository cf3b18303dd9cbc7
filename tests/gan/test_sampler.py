"""Images of a generator: independent, without gradients, with statistics of its own."""

import pytest
import torch
from torch import nn

from onelip.gan import GeneratorSampler, Latent, build_generator, settle_batch_norm_

LATENT = Latent(5)


def trained():
    torch.manual_seed(0)
    generator = build_generator("infogan", image_shape=(1, 8, 8), n_latent=5, dense=16, width=4)
    for _ in range(3):
        generator(torch.rand(16, 5))
    return generator


def test_an_image_does_not_depend_on_the_others_of_its_batch():
    generator = trained()
    sampler = GeneratorSampler(generator, LATENT)
    z = torch.rand(300, 5)
    together = sampler.images(z)
    assert torch.allclose(sampler.images(z[7:8]), together[7:8], atol=1e-6)
    assert torch.allclose(sampler.images(z.flip(0)), together.flip(0), atol=1e-6)
    # In training mode they would.
    with torch.no_grad():
        assert not torch.allclose(generator(z[:2])[:1], generator(z[:300])[:1], atol=1e-3)


def test_nothing_of_the_generator_changes_nor_is_followed():
    generator = trained()
    before = {name: tensor.clone() for name, tensor in generator.state_dict().items()}
    sampler = GeneratorSampler(generator, LATENT)
    first = sampler(6, torch.Generator().manual_seed(1))
    assert not first.requires_grad
    assert generator.training
    assert all(torch.equal(tensor, before[name]) for name, tensor in generator.state_dict().items())
    with torch.no_grad():
        for parameter in generator.parameters():
            parameter.add_(1.0)
    assert torch.equal(sampler(6, torch.Generator().manual_seed(1)), first)
    assert sampler.shape == (1, 8, 8)
    assert first.shape == (6, 1, 8, 8)


def test_statistics_are_those_of_the_generators_own_images():
    generator = trained()
    with torch.no_grad():
        generator.get_submodule("dense1").weight.mul_(3.0)
    settle_batch_norm_(generator, LATENT, n=8192, seed=3)
    assert not generator.training
    inputs = {}
    for name, module in generator.named_modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            module.register_forward_pre_hook(lambda m, x, name=name: inputs.setdefault(name, x[0]))
    with torch.no_grad():
        generator(LATENT(20000, torch.Generator().manual_seed(9)))
    for name, x in inputs.items():
        norm, values = generator.get_submodule(name), x.transpose(0, 1).flatten(1)
        deviation = values.std(dim=1)
        assert float(((norm.running_mean - values.mean(dim=1)).abs() / (deviation + 1e-3)).max()) < 0.1
        assert float((norm.running_var.sqrt() - deviation).abs().max()) < 0.1 * float(deviation.max())
    assert inputs.keys() == {"norm1", "norm2", "up1_norm"}
    momenta = {m.momentum for m in generator.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm)}
    assert momenta == {0.1}


def test_a_generator_without_normalisations_is_left_alone():
    generator = nn.Sequential(nn.Linear(5, 4), nn.Unflatten(1, (1, 2, 2)), nn.Sigmoid())
    weight = generator[0].weight.clone()
    settle_batch_norm_(generator, LATENT, n=2)
    assert torch.equal(generator[0].weight, weight)
    with pytest.raises(ValueError, match="n=1 in settle_batch_norm_"):
        settle_batch_norm_(generator, LATENT, n=1)
