import copy
import itertools

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.spectral import clip_cases
from tests.spectral.clipping import Concatenated, Sum, batch_norm, bottleneck, enlarged, matrix, values
from torch import nn
from torch.nn.utils.parametrizations import spectral_norm, weight_norm

import onelip
from onelip.layers import AOCConv2d
from onelip.spectral import CLIP_METHODS, CannotClipError

# Torch warns once per process that it copies the input of a zero-padded even kernel.
pytestmark = pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel")


def state(module):
    return [p.detach().clone() for p in module.parameters()]


def unchanged(module, before):
    return all(torch.equal(a, b) for a, b in zip(module.parameters(), before, strict=True))


def check(module, shape, max_norm, **options):
    """Clip; the dense reference obeys; a second call changes nothing."""
    before = values(module, shape)
    biases = [p.detach().clone() for n, p in module.named_parameters() if n.endswith("bias")]
    buffers = copy.deepcopy(dict(module.named_buffers()))
    result = onelip.clip_(module, max_norm, shape, **options)
    after = values(module, shape)
    assert after[0] <= max_norm * (1 + 1e-3)
    assert result.parts[0].before == pytest.approx(float(before[0]), rel=1e-3)
    assert result.parts[0].after == pytest.approx(float(after[0]), rel=1e-3)
    later = [p for n, p in module.named_parameters() if n.endswith("bias")]
    assert all(torch.equal(a, b) for a, b in zip(biases, later, strict=True))
    assert all(torch.equal(buffers[name], buffer) for name, buffer in module.named_buffers())
    first = state(module)
    onelip.clip_(module, max_norm, shape, **options)
    assert unchanged(module, first)
    return before, after


@pytest.mark.parametrize("case", clip_cases.covering(), ids=str)
def test_convolutions_obey(case):
    module, shape = clip_cases.build(case)
    bound = clip_cases.BOUNDS[clip_cases.covering().index(case) % 3]
    clip_cases.check_clipping(module, shape, bound)


def test_the_convolutions_have_every_pair_of_values():
    union = set().union
    whole = union(*map(clip_cases.pairs, clip_cases.product()))
    assert union(*map(clip_cases.pairs, clip_cases.covering())) == whole
    assert len(clip_cases.covering()) < 30
    assert all(
        {case[axis] for case in clip_cases.covering()} == set(v) for axis, v in enumerate(clip_cases.AXES.values())
    )


COMPOSITES = {
    "conv and batch norm": lambda: (nn.Sequential(nn.Conv2d(2, 3, 3, padding=1), batch_norm(3)), (2, 5, 5)),
    "two convs": lambda: (nn.Sequential(nn.Conv2d(2, 3, 3), nn.Conv2d(3, 2, 3, padding=1)), (2, 6, 6)),
    "skip": lambda: (Sum(nn.Conv2d(3, 3, 3, padding=1)), (3, 5, 5)),
    "bottleneck, projection": lambda: (Sum(bottleneck(3, 2, 4), nn.Conv2d(3, 4, 1)), (3, 5, 5)),
    "branches": lambda: (Concatenated(nn.Conv2d(2, 2, 3, padding=1), nn.Conv2d(2, 2, 5, padding=2)), (2, 5, 5)),
    "pool and dense": lambda: (
        nn.Sequential(nn.Conv2d(2, 4, 3, padding=1), nn.AvgPool2d(2), nn.Flatten(), nn.Linear(36, 5)),
        (2, 6, 6),
    ),
    "shared": lambda: (nn.Sequential(*[nn.Conv2d(2, 2, 3, padding=1)] * 2), (2, 5, 5)),
    "1-D": lambda: (nn.Conv1d(3, 3, 4, padding=1), (3, 16)),
    "3-D": lambda: (nn.Conv3d(1, 2, 3, padding=1), (1, 3, 4, 3)),
    "transposed": lambda: (nn.ConvTranspose2d(3, 2, 3, stride=2, padding=1, output_padding=1), (3, 4, 4)),
    "dense": lambda: (nn.Linear(12, 9), (12,)),
    "dense along an axis": lambda: (nn.Linear(6, 9), (3, 6)),
}


@pytest.mark.parametrize(("name", "max_norm"), list(zip(COMPOSITES, itertools.cycle([0.5, 1.0, 2.0]), strict=False)))
def test_composites_obey(name, max_norm):
    module, shape = COMPOSITES[name]()
    check(enlarged(module, 4), shape, max_norm)


@pytest.mark.slow
@pytest.mark.parametrize("max_norm", [0.5, 1.0, 2.0])
def test_all_obey_at_all_bounds(max_norm):
    for build in COMPOSITES.values():
        module, shape = build()
        check(enlarged(module, 4), shape, max_norm)
    for case in clip_cases.covering():
        module, shape = clip_cases.build(case)
        clip_cases.check_clipping(module, shape, max_norm)


@pytest.mark.parametrize("max_norm", [1.0, 2.0])
def test_a_bottleneck_beside_the_identity_obeys(max_norm):
    module = Sum(bottleneck(4, 2, 4))
    check(module, (4, 4, 4), max_norm)


@pytest.mark.parametrize("method", CLIP_METHODS)
def test_every_method_reaches_the_bound(method):
    module = enlarged(nn.Conv2d(2, 3, 3, padding=1), 4)
    check(module, (2, 5, 5), 1.0, method=method)


def test_what_cannot_be_reached_is_an_error_and_changes_nothing():
    # Rank 2 of 4 channels cannot cancel the identity.
    module = Sum(nn.Sequential(nn.Conv2d(4, 2, 1), nn.Conv2d(2, 4, 1)))
    before = state(module)
    with pytest.raises(CannotClipError, match=r"norm of Sum to 1, not to max_norm=0\.5"):
        onelip.clip_(module, 0.5, (4, 2, 2))
    assert unchanged(module, before)


@given(st.integers(1, 9), st.integers(1, 9), st.floats(0.05, 3.0), st.integers(0, 1000))
@settings(max_examples=25, deadline=None)
def test_dense_layers_are_clipped_exactly(n, m, max_norm, seed):
    torch.manual_seed(seed)
    module = nn.Linear(n, m).double()
    u, s, vh = torch.linalg.svd(module.weight.detach(), full_matrices=False)
    onelip.clip_(module, max_norm)
    # Left alone up to half the tolerance above.
    wanted = s if s[0] <= max_norm * (1 + 5e-4) else s.clamp(max=max_norm)
    torch.testing.assert_close(module.weight.detach(), (u * wanted) @ vh)


@given(st.floats(0.3, 3.0), st.integers(0, 1000))
@settings(max_examples=8, deadline=None)
def test_no_convolution_below_changes_and_none_is_raised(max_norm, seed):
    torch.manual_seed(seed)
    module = nn.Conv2d(2, 2, 3, padding=1)
    before, kernel = values(module, (2, 4, 4)), module.weight.detach().clone()
    onelip.clip_(module, max_norm, (2, 4, 4))
    after = values(module, (2, 4, 4))
    assert after[0] <= max(before[0], max_norm * (1 + 1e-3))
    assert torch.equal(module.weight, kernel) == bool(before[0] <= max_norm * (1 + 5e-4))


def test_nothing_else_is_touched():
    module = enlarged(nn.Sequential(nn.Conv2d(2, 2, 3, padding=1), batch_norm(2)), 4).train()
    module[0].weight.requires_grad_(False)
    module(torch.randn(3, 2, 5, 5)).sum().backward()
    gradients = {n: p.grad.clone() for n, p in module.named_parameters() if p.grad is not None}
    identity = {n: (id(p), p.data_ptr(), p.requires_grad, p.dtype) for n, p in module.named_parameters()}
    others = {n: t.clone() for n, t in module.state_dict().items() if n != "0.weight"}
    kernel, generator = module[0].weight.clone(), torch.get_rng_state()
    onelip.clip_(module, 1.0, (2, 5, 5))
    assert not torch.equal(module[0].weight, kernel)
    assert torch.equal(torch.get_rng_state(), generator)
    assert {n: (id(p), p.data_ptr(), p.requires_grad, p.dtype) for n, p in module.named_parameters()} == identity
    assert all(torch.equal(module.state_dict()[n], t) for n, t in others.items())
    assert all(torch.equal(module.get_parameter(n).grad, g) for n, g in gradients.items())
    assert all(child.training for child in module.modules())


def network():
    return enlarged(
        nn.Sequential(
            nn.Conv2d(2, 3, 3, padding=1), batch_norm(3), nn.ReLU(), nn.Conv2d(3, 3, 3, 2, 1), nn.ReLU(),
            nn.Flatten(), nn.Linear(27, 4),
        ),
        4,
    )  # fmt: skip


def test_a_network_is_clipped_part_by_part():
    model = network()
    gamma = model[1].weight.detach().clone()
    result = onelip.clip_(model, 1.0, (2, 6, 6))
    assert [part.name for part in result.parts] == ["0", "3", "6"]
    assert values(model[0], (2, 6, 6))[0] <= 1.001
    assert values(model[3], (3, 6, 6))[0] <= 1.001
    assert torch.linalg.matrix_norm(model[6].weight, 2) <= 1.001
    assert torch.equal(model[1].weight, gamma)
    assert str(result).splitlines()[0].split() == ["part", "before", "after", "change", "method"]
    assert len(str(result).splitlines()) == 4


def test_batch_norms_are_clamped_or_joined():
    model = network()
    onelip.clip_(model, 1.0, (2, 6, 6), batch_norm="clip")
    norm = model[1]
    assert (norm.weight.abs() / (norm.running_var + norm.eps).sqrt()).max() <= 1.001
    model = network()
    gamma = model[1].weight.detach().clone()
    result = onelip.clip_(model, 1.0, (2, 6, 6), batch_norm="joint")
    assert result.parts[0].name == "0 + 1"
    assert values(model[:2], (2, 6, 6))[0] <= 1.001
    assert torch.equal(model[1].weight, gamma)


def test_batch_norms_inside_an_affine_module_are_clamped_before_the_whole():
    module = enlarged(nn.Sequential(nn.Conv2d(2, 3, 3, padding=1), batch_norm(3)), 4).eval()
    result = onelip.clip_(module, 0.5, (2, 4, 4), batch_norm="clip")
    assert [part.name for part in result.parts] == ["1", "Sequential"]
    assert values(module[1], (3, 4, 4))[0] <= 0.5 * (1 + 1e-3)
    assert values(module, (2, 4, 4))[0] <= 0.5 * (1 + 1e-3)


def test_a_batch_norm_by_itself_is_clamped():
    module = batch_norm(4)
    check(module, (4, 2, 2), 0.5)


class Twice(nn.Module):
    """One convolution at two sizes."""

    def __init__(self):
        super().__init__()
        self.conv = enlarged(nn.Conv2d(2, 2, 3, padding=1), 4)

    def forward(self, x):
        return torch.relu(self.conv(torch.relu(self.conv(x))[..., ::2, :3]))


def test_a_module_obeys_at_each_of_its_shapes():
    model = Twice()
    result = onelip.clip_(model, 1.0, (2, 6, 5))
    assert len(result.parts) == 2
    assert values(model.conv, (2, 6, 5))[0] <= 1.001
    assert values(model.conv, (2, 3, 3))[0] <= 1.001


def test_exact_scales_up_and_only_if_asked():
    module = nn.Conv2d(2, 2, 3, padding=1)
    top = values(module, (2, 5, 5))[0]
    direction = module.weight.detach() / module.weight.norm()
    onelip.clip_(module, 3.0, (2, 5, 5), exact=True)
    assert values(module, (2, 5, 5))[0] == pytest.approx(3.0, rel=1e-3)
    torch.testing.assert_close(module.weight / module.weight.norm(), direction)
    assert top < 3.0
    first = state(module)
    onelip.clip_(module, 3.0, (2, 5, 5), exact=True)
    assert unchanged(module, first)
    nn.init.zeros_(module.weight)
    with pytest.raises(CannotClipError, match="exact=True: Conv2d of norm 0"):
        onelip.clip_(module, 1.0, (2, 5, 5), exact=True)
    with pytest.raises(CannotClipError, match="not proportional to a weight"):
        onelip.clip_(Sum(nn.Conv2d(2, 2, 1)), 9.0, (2, 3, 3), exact=True)


def test_parametrised_weights_are_clipped_through_their_inverse_or_refused():
    module = weight_norm(enlarged(nn.Conv2d(2, 3, 3, padding=1), 4))
    onelip.clip_(module, 1.0, (2, 5, 5))
    assert values(module, (2, 5, 5))[0] <= 1.001
    module = spectral_norm(nn.Linear(4, 4))
    before = state(module)
    with pytest.raises(CannotClipError, match="Linear round, or are parametrised"):
        onelip.clip_(module, 0.5)
    assert unchanged(module, before)
    with pytest.raises(CannotClipError, match="AOCConv2d has no weight that clipping may change"):
        onelip.clip_(AOCConv2d(2, 2, 3, padding=1, padding_mode="circular"), 0.5, (2, 4, 4))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32])
def test_low_precision_is_clipped_as_stored(dtype):
    module = nn.Conv2d(3, 3, 3, padding=1, dtype=dtype)
    with torch.no_grad():
        module.weight.mul_(4)
    check(module, (3, 5, 5), 1.0)
    assert module.weight.dtype == dtype


def test_wrong_arguments_are_named():
    layer = nn.Linear(2, 2)
    with pytest.raises(ValueError, match="max_norm=-1 in clip_ must be a positive number"):
        onelip.clip_(layer, -1)
    with pytest.raises(ValueError, match="fastclip"):
        onelip.clip_(layer, 1.0, method="fastclipp")
    with pytest.raises(ValueError, match="batch_norm='drop' in clip_"):
        onelip.clip_(layer, 1.0, batch_norm="drop")
    with pytest.raises(ValueError, match=r"tol=0\.5 in clip_"):
        onelip.clip_(layer, 1.0, tol=0.5)
    with pytest.raises(ValueError, match="input_shape=None"):
        onelip.clip_(nn.Conv2d(2, 2, 3), 1.0)


def test_the_kernel_is_near_the_nearest_one():
    # Alternating projections with Dykstra's correction, in the circular case, where positions count alike.
    module = enlarged(nn.Conv2d(2, 2, 3, padding=1, padding_mode="circular"), 3).double()
    start = module.weight.detach().clone()
    reference = copy.deepcopy(module)
    point = matrix(reference, (2, 4, 4))
    correction = torch.zeros_like(point)
    for _ in range(150):
        u, s, vh = torch.linalg.svd(point + correction, full_matrices=False)
        clipped = (u * s.clamp(max=0.7)) @ vh
        correction = point + correction - clipped
        # Positions of a tap are a torus' worth; the mean over them is the projection onto kernels.
        blocks = clipped.reshape(2, 4, 4, 2, 4, 4)
        with torch.no_grad():
            for a, b in itertools.product(range(3), range(3)):
                rows = [blocks[:, i, j, :, (i + a - 1) % 4, (j + b - 1) % 4] for i in range(4) for j in range(4)]
                reference.weight[:, :, a, b] = torch.stack(rows).mean(0)
        point = matrix(reference, (2, 4, 4))
    nearest = (reference.weight.detach() - start).norm()
    for method, slack in (("exact-dense", 0.011), ("fastclip", 0.03)):
        clone = copy.deepcopy(module)
        onelip.clip_(clone, 0.7, (2, 4, 4), method=method)
        distance = (clone.weight.detach() - start).norm()
        assert 1 - 2e-3 <= distance / nearest <= 1 + slack
