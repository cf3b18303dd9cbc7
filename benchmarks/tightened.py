"""How much smaller are constants of dense networks as a whole than products of norms?

Random networks with weights of variance 1 / fan-in, medians over seeds, and networks trained on digits by cross-entropy
alone. "largest" is the largest norm of a Jacobian found at random points: a lower bound of the constant. LipSDP is
solved by SCS where cvxpy can be imported and the network has at most 200 neurons. Run from the repository:

    python -m benchmarks.tightened --widths 32 64 128 256 --depths 3 4 6 --seeds 3
"""

from __future__ import annotations

import argparse
import importlib.util
import math
import statistics
import time
from typing import Any

import torch
from torch import nn

from onelip import data, lipschitz_bound
from onelip.layers import MaxMin

STEPS = (0, 20, 100)
LARGEST_SDP = 200
HEADER = ("network", "product", "largest", *(f"{n} steps" for n in STEPS), "LipSDP", "seconds")


def network(inputs: int, width: int, depth: int, activation: type[nn.Module]) -> nn.Sequential:
    """A dense network with 10 outputs and `depth` matrices, of variance 1 / fan-in.

    Args:
        inputs: Number of inputs.
        width: Of each hidden layer.
        depth: Number of matrices.
        activation: Class of the activations.

    Returns:
        The network.
    """
    sizes = [inputs, *[width] * (depth - 1), 10]
    parts: list[nn.Module] = [nn.Flatten()]
    for i in range(depth):
        linear = nn.Linear(sizes[i], sizes[i + 1])
        nn.init.normal_(linear.weight, std=1 / math.sqrt(sizes[i]))
        parts += [linear, *([activation()] if i < depth - 1 else [])]
    return nn.Sequential(*parts)


def train(model: nn.Module, epochs: int) -> float:
    """Train on digits, plainly.

    Args:
        model: Changed in place.
        epochs: Passes over the data.

    Returns:
        Accuracy on the test fold.
    """
    digits = data.load("digits")
    x, y = digits.train.images / 16.0, digits.train.labels
    optimizer = torch.optim.Adam(model.parameters(), 1e-3)
    for _ in range(epochs):
        for rows in torch.randperm(len(x)).split(64):
            optimizer.zero_grad()
            nn.functional.cross_entropy(model(x[rows]), y[rows]).backward()
            optimizer.step()
    with torch.no_grad():
        return float((model(digits.test.images / 16.0).argmax(1) == digits.test.labels).float().mean())


def largest_jacobian(model: nn.Module, inputs: int, count: int = 500) -> float:
    """Look for a large Jacobian at random points.

    Args:
        model: A network.
        inputs: Number of its inputs.
        count: Number of points.

    Returns:
        The largest norm found.
    """
    x = torch.randn(count, inputs) * 10.0 ** torch.randint(-2, 2, (count, 1))
    jacobians = torch.func.vmap(torch.func.jacrev(lambda v: model(v[None])[0]))(x).detach()
    return float(torch.linalg.matrix_norm(jacobians, 2).max())


def lipsdp(model: nn.Sequential) -> float | None:
    """Solve the semidefinite programme of LipSDP-Neuron for a ReLU network.

    Args:
        model: Linear layers and ReLUs.

    Returns:
        The constant; None without cvxpy, for other activations and for large networks.
    """
    weights = [part.weight.detach().double().numpy() for part in model if isinstance(part, nn.Linear)]
    sizes = [weights[0].shape[1], *[len(w) for w in weights[:-1]]]
    relu = all(isinstance(part, (nn.Flatten, nn.Linear, nn.ReLU)) for part in model)
    if importlib.util.find_spec("cvxpy") is None or not relu or sum(sizes) > LARGEST_SDP:
        return None
    cp: Any = importlib.import_module("cvxpy")
    square, multipliers = cp.Variable(), [cp.Variable(n, nonneg=True) for n in sizes[1:]]
    blocks = [[cp.Constant(torch.zeros(m, n).numpy()) for n in sizes] for m in sizes]
    blocks[0][0] = square * torch.eye(sizes[0]).numpy()
    for i, (multiplier, weight) in enumerate(zip(multipliers, weights, strict=False)):
        blocks[i + 1][i + 1] = 2 * cp.diag(multiplier)
        blocks[i + 1][i] = -cp.diag(multiplier) @ weight
        blocks[i][i + 1] = blocks[i + 1][i].T
    blocks[-1][-1] = blocks[-1][-1] - weights[-1].T @ weights[-1]
    whole = cp.Variable((sum(sizes), sum(sizes)), PSD=True)
    cp.Problem(cp.Minimize(square), [cp.bmat(blocks) == whole]).solve(solver=cp.SCS, eps=1e-5)
    return math.sqrt(float(square.value))


def row(models: list[nn.Sequential], inputs: int) -> list[float | None]:
    """Measure some networks of one kind.

    Args:
        models: The networks.
        inputs: Number of their inputs.

    Returns:
        Medians in the order of the table.
    """
    columns: list[list[float | None]] = []
    for model in models:
        model.eval()
        values, seconds = [], 0.0
        for steps in STEPS:
            start = time.perf_counter()
            bound = lipschitz_bound(model, (inputs,), search_steps=steps)
            seconds = time.perf_counter() - start
            values.append(bound.best.value)
        columns.append([bound.value, largest_jacobian(model, inputs), *values, lipsdp(model), seconds])
    medians = [[v for v in column if v is not None] for column in zip(*columns, strict=True)]
    return [statistics.median(values) if values else None for values in medians]


def show(name: str, values: list[float | None]) -> None:
    """Print a row.

    Args:
        name: Of the kind of network.
        values: In the order of the table.
    """
    cells = [f"{value:.4g}" if value is not None else "-" for value in values]
    print("  ".join([name.ljust(30), *(cell.rjust(10) for cell in cells)]), flush=True)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--widths", type=int, nargs="+", default=[32, 64, 128])
    parser.add_argument("--depths", type=int, nargs="+", default=[3, 6])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=20)
    arguments = parser.parse_args()
    print("  ".join([HEADER[0].ljust(30), *(name.rjust(10) for name in HEADER[1:])]))
    for activation in (nn.ReLU, MaxMin):
        for depth in arguments.depths:
            for width in arguments.widths:
                models = []
                for seed in range(arguments.seeds):
                    torch.manual_seed(seed)
                    models.append(network(64, width, depth, activation))
                show(f"{activation.__name__} {depth} x {width}", row(models, 64))
        torch.manual_seed(0)
        model = network(64, 64, 4, activation)
        accuracy = train(model, arguments.epochs)
        show(f"{activation.__name__} digits 4 x 64 ({accuracy:.3f})", row([model], 64))


if __name__ == "__main__":
    main()
