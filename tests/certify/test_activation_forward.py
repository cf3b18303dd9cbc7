import mpmath
import torch

from onelip.certify.activation_forward import ACTIVATIONS
from onelip.certify.records import Node

X = torch.randn(40, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(0))


def run(op, attributes, tensors=None):
    return ACTIVATIONS[op](Node("n", op, ("input",), attributes, tensors or {}), [X])


def exact_distance(y, exact):
    return [float(mpmath.sqrt(sum((mpmath.mpf(a) - b) ** 2 for a, b in zip(row, true, strict=True))))
            for row, true in zip(y.tolist(), exact, strict=True)]  # fmt: skip


def test_error_of_the_smooth_absolute_value():
    y, error = run("soft_huber", {"delta": 0.05})
    with mpmath.workdps(50):
        d = mpmath.mpf(0.05)
        exact = [[d * (mpmath.sqrt(1 + (mpmath.mpf(v) / d) ** 2) - 1) for v in row] for row in X.tolist()]
        off = exact_distance(y, exact)
    assert max(off) > 0
    assert bool((torch.tensor(off) <= error).all())


def test_error_of_turning_points():
    thresholds = torch.tensor([[-0.3, 0.1, 0.7, 0.0], [0.3, 0.2, -0.2, 0.0]], dtype=torch.float64)
    y, error = run("n_activation", {"axis": 0}, {"thresholds": thresholds})
    low, high = ([mpmath.mpf(v) for v in side.tolist()] for side in thresholds.sort(0).values)
    with mpmath.workdps(50):
        exact = [
            [v - 2 * a if v < a else -v if v < b else v - 2 * b for v, a, b in zip(row, low, high, strict=True)]
            for row in X.tolist()
        ]
        off = exact_distance(y, exact)
    assert bool((torch.tensor(off) <= error).all())


def test_error_of_the_householder_activation_of_order_2():
    """Against the image by polar angles in many digits."""
    angle = torch.tensor([[0.4, 9.0], [1.3, -5.0], [2.9, 40.0]], dtype=torch.float64)
    y, error = run("householder2", {"axis": 0}, {"angle": angle})
    with mpmath.workdps(50):
        exact = [[None] * 4 for _ in X]
        for i, row in enumerate(X.tolist()):
            for j in range(2):
                start, a, b = (mpmath.mpf(v) / 2 for v in angle[:, j].tolist())
                a, b = mpmath.acos(mpmath.cos(a)), mpmath.acos(mpmath.cos(b))
                z = mpmath.mpc(row[j], row[j + 2])
                t = (mpmath.arg(z) - start) % (2 * mpmath.pi)
                t = t if t < a else 2 * a - t if t < a + b else t - 2 * b if t < mpmath.pi + b else -t
                image = abs(z) * mpmath.expj(t + start)
                exact[i][j], exact[i][j + 2] = image.real, image.imag
        off = exact_distance(y, exact)
    assert max(off) > 0
    assert bool((torch.tensor(off) <= error).all())
