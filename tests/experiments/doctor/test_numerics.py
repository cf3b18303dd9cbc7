"""A right machine passes; each routine that is made wrong is found out, by its own check."""

import pytest
import torch

from onelip.experiments.doctor import numerics


@pytest.fixture(autouse=True)
def _small(monkeypatch):
    monkeypatch.setattr(numerics, "WIDTHS", (24, 40))


def wrong(routine, factor=1.01):
    """The routine with one entry of its first tensor off by a per cent."""

    def spoil(result):
        spoiled = result.clone(memory_format=torch.contiguous_format)
        spoiled.view(-1)[0] += (factor - 1) * float(result.abs().max())
        return spoiled

    def broken(*args, **kwargs):
        result = routine(*args, **kwargs)
        if isinstance(result, torch.Tensor):
            return spoil(result)
        first, *rest = result
        return (spoil(first), *rest)

    return broken


SABOTAGE = [
    (torch.linalg, "solve", numerics.lu),
    (torch.linalg, "inv", numerics.lu),
    (torch.linalg, "lu_factor", numerics.lu),
    (torch.linalg, "cholesky", numerics.cholesky),
    (torch.linalg, "qr", numerics.qr),
    (torch.linalg, "svd", numerics.svd),
    (torch.linalg, "svdvals", numerics.svd),
    (torch.linalg, "eigh", numerics.eigh),
    (torch.linalg, "solve_triangular", numerics.triangular_solve),
    (torch.fft, "rfft2", numerics.fft),
    (torch.fft, "irfft2", numerics.fft),
]


@pytest.mark.parametrize("check", sorted({entry[2] for entry in SABOTAGE}, key=lambda f: f.__name__))
def test_a_right_routine_passes(check):
    found = check()
    assert (found.status, found.advice) == ("ok", "")


@pytest.mark.parametrize(("module", "name", "check"), SABOTAGE, ids=[entry[1] for entry in SABOTAGE])
def test_a_wrong_routine_is_broken(monkeypatch, module, name, check):
    monkeypatch.setattr(module, name, wrong(getattr(module, name)))
    found = check()
    assert found.status == "broken"
    assert found.advice


@pytest.mark.parametrize(("module", "name", "check"), SABOTAGE[:7], ids=[entry[1] for entry in SABOTAGE[:7]])
def test_nan_is_broken(monkeypatch, module, name, check):
    monkeypatch.setattr(module, name, wrong(getattr(module, name), float("nan")))
    assert check().status == "broken"


def test_an_lu_that_raises_is_broken_and_onelip_is_said_not_to_use_it(monkeypatch):
    def fails(*args):
        raise RuntimeError("singular")

    monkeypatch.setattr(torch.linalg, "inv", fails)
    found = numerics.lu()
    assert found.status == "broken"
    assert "inv raised RuntimeError" in found.detail
    assert "onelip does not use them" in found.advice


def test_sums_in_single_precision_are_noticed(monkeypatch):
    assert numerics.accumulation().ok
    exact = torch.Tensor.__matmul__
    monkeypatch.setattr(torch.Tensor, "__matmul__", lambda a, b: exact(a.float(), b.float()).double())
    assert numerics.accumulation().status == "broken"


def test_a_wrong_bfloat16_convolution_is_noticed(monkeypatch):
    assert numerics.bfloat16_convolution().ok
    conv2d = torch.nn.functional.conv2d

    def sloppy(x, w, **options):
        result = conv2d(x, w, **options)
        return result * 1.05 if x.dtype == torch.bfloat16 else result

    monkeypatch.setattr(torch.nn.functional, "conv2d", sloppy)
    assert numerics.bfloat16_convolution().status == "broken"


def test_a_convolution_that_varies_is_noticed(monkeypatch):
    assert numerics.repeatable_convolution().status == "ok"
    conv2d, calls = torch.nn.functional.conv2d, []

    def varies(x, w, **options):
        calls.append(1)
        return conv2d(x, w, **options) * (1 + 1e-6 * len(calls))

    monkeypatch.setattr(torch.nn.functional, "conv2d", varies)
    assert numerics.repeatable_convolution().status == "warn"


def test_flushed_subnormals_are_noticed():
    assert numerics.subnormals().status == "ok"
    if not torch.set_flush_denormal(True):
        pytest.skip("this processor cannot flush subnormal numbers")
    try:
        assert numerics.subnormals().status == "warn"
    finally:
        torch.set_flush_denormal(False)
