"""A swapped network computes with constrained weights near the old ones, and everything else stays."""

import copy

import pytest
import torch
from tests.swap.networks import Autoencoder, Block, Recurrent, ResNet, chain, orthogonalised_
from torch import nn

import onelip
from onelip import layers
from onelip.layers import ConstrainedModule


def jacobian_norm(model, x):
    matrix = torch.autograd.functional.jacobian(model, x).reshape(-1, x.numel())
    return float(torch.linalg.matrix_norm(matrix.double(), 2))


def ordinary(model):
    return [type(m) for m in model.modules() if isinstance(m, nn.Linear | nn.Conv2d | nn.ReLU | nn.SiLU)]


@pytest.mark.parametrize("conv", ["aoc", "aol", "rko"])
def test_a_chain_becomes_1_lipschitz_and_is_proved_so(conv):
    model = chain()
    result = onelip.swap(model, conv=conv)
    assert ordinary(result.model) == []
    assert result.left == ()
    bound = onelip.lipschitz_bound(result.model, (3, 8, 8))
    assert bound.proved
    assert bound.value <= 1 + 1e-5
    x = torch.randn(1, 3, 8, 8)
    assert result.model(x).shape == model(x).shape
    assert jacobian_norm(result.model.eval(), x) <= bound.value


@pytest.mark.parametrize("conv", layers.available("conv2d"))
def test_every_convolution_method_serves_a_residual_network(conv):
    model = ResNet()
    result = onelip.swap(model, conv=conv)
    names = [name for name, m in model.named_modules() if isinstance(m, nn.Conv2d)]
    replaced = [r.name for r in result.replaced if r.old.startswith("Conv2d")]
    refused = [entry.name for entry in result.left if entry.kind.startswith("Conv2d")]
    assert sorted(replaced + refused) == sorted(names)
    assert "blocks.0.conv1" in replaced
    assert ordinary(result.model) == [nn.Conv2d] * len(refused)
    assert result.model(torch.randn(2, 3, 8, 8)).shape == (2, 5)


@pytest.mark.parametrize("linear", layers.available("linear"))
def test_every_dense_method_serves(linear):
    model = nn.Sequential(nn.Linear(6, 9), nn.ReLU(), nn.Linear(9, 4))
    result = onelip.swap(model, linear=linear)
    assert [r.old for r in result.replaced] == ["Linear(6, 9)", "ReLU", "Linear(9, 4)"]
    assert result.model(torch.randn(3, 6)).shape == (3, 4)


@pytest.mark.parametrize("activation", layers.available("activation"))
def test_every_activation_serves(activation):
    result = onelip.swap(chain(), activation=activation)
    # Some return fewer channels, and cannot stand where the next layer expects as many.
    changes = [entry for entry in result.left if "does not suit what follows" in entry.problem]
    assert ordinary(result.model) == [nn.ReLU] * len(changes)
    assert len(changes) in (0, 3)
    assert onelip.lipschitz_bound(result.model, (3, 8, 8)).value <= 1 + 1e-5


def test_the_original_is_left_alone():
    model = ResNet().train()
    model.blocks[0].eval()
    before = copy.deepcopy(model.state_dict())
    modes = [m.training for m in model.modules()]
    kept = [id(m) for m in model.modules()]
    swapped = onelip.swap(model).model
    with torch.no_grad():
        for parameter in swapped.parameters():
            parameter.add_(1)
    assert [id(m) for m in model.modules()] == kept
    assert [m.training for m in model.modules()] == modes
    assert all(torch.equal(v, before[k]) for k, v in model.state_dict().items())


def test_mode_precision_and_frozen_parameters_are_kept():
    model = chain().double().train()
    model[2].eval()
    first = model[0][0][0]
    first.weight.requires_grad_(False)
    swapped = onelip.swap(model).model
    assert [m.training for m in swapped.modules()] == [m.training for m in model.modules()]
    assert {p.dtype for p in swapped.parameters()} == {torch.float64}
    learned = {n: p.requires_grad for n, p in swapped[0][0][0].named_parameters()}
    assert learned.pop("bias")
    assert not any(learned.values())
    assert all(p.requires_grad for p in swapped[2].parameters())


def test_low_precision_is_kept():
    model = nn.Sequential(nn.Conv2d(3, 6, 3, padding=1), nn.ReLU(), nn.Flatten(), nn.Linear(96, 4)).bfloat16()
    swapped = onelip.swap(model, activation="householder").model
    assert {p.dtype for p in swapped.parameters()} == {torch.bfloat16}
    assert swapped(torch.randn(2, 3, 4, 4).bfloat16()).dtype == torch.bfloat16


def test_weights_that_are_on_the_set_already_come_back():
    model = orthogonalised_(
        nn.Sequential(nn.Conv2d(4, 8, 1), nn.ReLU(), nn.Flatten(), nn.Linear(8 * 4, 16), nn.ReLU(), nn.Linear(16, 4))
    )
    result = onelip.swap(model, activation=None)
    assert len(result.replaced) == 3
    assert all(r.weight_change < 1e-5 and r.direction_kept > 1 - 1e-6 for r in result.replaced)
    x = torch.randn(3, 4, 2, 2)
    assert torch.allclose(result.model(x), model(x), atol=1e-5)


def test_the_change_is_that_of_the_nearest_orthogonal_matrix():
    model = nn.Linear(5, 5)
    result = onelip.swap(model)
    (entry,) = result.replaced
    u, s, vh = torch.linalg.svd(model.weight.detach().double())
    nearest = torch.linalg.vector_norm(u @ vh - model.weight.detach().double()) / torch.linalg.vector_norm(s)
    assert entry.weight_change == pytest.approx(float(nearest), rel=1e-4)
    assert entry.direction_kept == pytest.approx(float(s.sum() / (s.norm() * 5**0.5)), rel=1e-4)
    assert torch.equal(result.model.bias, model.bias)


def test_biases_are_kept():
    model = chain()
    swapped = onelip.swap(model).model
    pairs = zip(model.modules(), swapped.modules(), strict=True)
    kept = [torch.equal(a.bias, b.bias) for a, b in pairs if getattr(a, "bias", None) is not None]
    assert kept == [True] * 4


def test_a_module_used_twice_stays_one():
    model = Recurrent()
    result = onelip.swap(model)
    swapped = result.model
    assert swapped.conv is swapped.same
    assert swapped.unseen[0] is swapped.conv
    assert isinstance(swapped.conv, ConstrainedModule)
    assert "also at same" in result.replaced[0].remarks
    assert onelip.lipschitz_bound(swapped, (4, 6, 6)).value <= 1 + 1e-5


def test_tied_weights_stay_tied_elsewhere_and_the_report_names_those_that_do_not():
    model = nn.Sequential(nn.Embedding(7, 4), nn.Embedding(7, 4), nn.Linear(4, 7))
    model[1].weight = model[0].weight
    model[2].weight = model[0].weight
    result = onelip.swap(model)
    assert result.model[0].weight is result.model[1].weight
    assert result.replaced[0].remarks == ("its weight is no longer that of 0, 1",)


def test_the_root_itself_may_be_replaced():
    result = onelip.swap(nn.Conv2d(3, 3, 3, padding=1))
    assert isinstance(result.model, layers.AOCConv2d)
    assert "(the model)" in str(result)


def test_transposed_convolutions_are_replaced():
    result = onelip.swap(Autoencoder())
    assert isinstance(result.model.up, layers.AOCConvTranspose2d)
    assert result.model(torch.randn(1, 2, 6, 6)).shape == (1, 2, 6, 6)
    assert [(entry.name, entry.kind) for entry in result.left] == [("gelu", "gelu")]


def test_parts_of_this_library_are_left_alone():
    model = nn.Sequential(layers.AOLConv2d(3, 4, 3, padding=1), layers.MaxMin(), nn.Conv2d(4, 4, 1))
    result = onelip.swap(model)
    assert [r.name for r in result.replaced] == ["2"]
    assert torch.equal(result.model[0].raw_weight, model[0].raw_weight)


def test_none_leaves_a_kind_as_it_is():
    result = onelip.swap(chain(), conv=None, activation=None)
    assert {r.new for r in result.replaced} == {"CholeskyLinear"}
    assert len(ordinary(result.model)) == 5


def test_padding_is_changed_kept_or_said():
    model = nn.Sequential(nn.Conv2d(4, 4, 3, padding=1), nn.Conv2d(4, 4, 1, padding=1), nn.Conv2d(4, 4, 1))
    circular = onelip.swap(model)
    assert [m.padding_mode for m in circular.model] == ["circular", "zeros", "circular"]
    assert circular.replaced[0].remarks == ("padding_mode 'zeros' became 'circular'",)
    assert "padding_mode stays 'zeros'" in circular.replaced[1].remarks
    assert circular.replaced[2].remarks == ()
    kept = onelip.swap(model, padding=None)
    assert [m.padding_mode for m in kept.model] == ["zeros"] * 3
    reflecting = nn.Conv2d(4, 4, 3, padding=1, padding_mode="reflect")
    assert onelip.swap(reflecting).model.padding_mode == "circular"
    (left,) = onelip.swap(reflecting, padding=None).left
    assert "padding_mode='reflect' in AOCConv2d repeats pixels" in left.problem


def test_a_refusal_is_reported_with_methods_that_take_the_layer(refusing):
    depthwise = nn.Sequential(nn.Conv2d(6, 6, 3, padding=1, groups=6))
    result = onelip.swap(depthwise, conv=refusing)
    assert type(result.model[0]) is nn.Conv2d
    (left,) = result.left
    assert left.kind == "Conv2d(6, 6, 3, groups 6)"
    assert left.problem == "groups=6 in Refusing must be 1"
    assert "'aol'" in left.instead
    assert onelip.swap(depthwise, conv="aol").left == ()


def test_uninitialised_layers_are_reported():
    (left,) = onelip.swap(nn.Sequential(nn.LazyLinear(4))).left
    assert "run the network once" in left.problem


def test_parametrised_layers_are_read_without_changing_them():
    model = nn.Sequential(nn.utils.parametrizations.spectral_norm(nn.Linear(6, 4))).train()
    before = copy.deepcopy(model.state_dict())
    result = onelip.swap(model)
    assert all(torch.equal(v, before[k]) for k, v in model.state_dict().items())
    assert result.replaced[0].old == "Linear(6, 4)"
    assert "its parametrization was dropped, the weight that it gave was kept" in result.replaced[0].remarks


def test_a_subclass_with_a_forward_of_its_own_is_left():
    class Odd(nn.Linear):
        def forward(self, x):
            return super().forward(x) ** 2

    result = onelip.swap(nn.Sequential(Odd(3, 3)))
    assert isinstance(result.model[0], Odd)
    assert result.left[0].kind == "Odd"


def test_attention_stays_whole():
    class Attentive(nn.Module):
        def __init__(self):
            super().__init__()
            self.attention = nn.MultiheadAttention(4, 2, batch_first=True)
            self.head = nn.Linear(4, 2)

        def forward(self, x):
            return self.head(self.attention(x, x, x)[0])

    result = onelip.swap(Attentive())
    assert [r.name for r in result.replaced] == ["head"]
    assert [entry.name for entry in result.left] == ["attention"]


def test_the_meta_device_is_kept():
    with torch.device("meta"):
        model = chain()
    swapped = onelip.swap(model).model
    assert all(p.is_meta for p in swapped.parameters())


def test_the_report_of_a_residual_network_names_every_obstacle():
    result = onelip.swap(ResNet())
    kinds = [entry.kind for entry in result.left]
    assert sorted(set(kinds)) == ["AdaptiveAvgPool2d", "BatchNorm2d", "MaxPool2d", "add", "relu"]
    assert kinds.count("BatchNorm2d") == 4
    assert all(entry.problem and entry.instead for entry in result.left)
    text = str(result)
    assert "BatchNorm2d (4 times): blocks.0.bn1, blocks.0.bn2, blocks.1.bn1, blocks.1.bn2" in text
    onelip.lipschitz_bound(result.model, (3, 8, 8))


def test_a_swapped_network_trains_and_reloads():
    swapped = onelip.swap(Block(4, 4, 1)).model
    swapped(torch.randn(2, 4, 6, 6)).square().sum().backward()
    assert all(p.grad is not None for p in swapped.parameters())
    again = onelip.swap(Block(4, 4, 1)).model
    again.load_state_dict(swapped.state_dict())


def test_a_swapped_chain_is_certified():
    model = onelip.swap(chain()).model.eval()
    images = torch.rand(6, 3, 8, 8)
    certificate = onelip.certify(model, images, model(images).argmax(1))
    assert certificate.bound.proved
