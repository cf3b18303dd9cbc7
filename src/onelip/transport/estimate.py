"""A lower bound of a Wasserstein-1 distance from held-out samples, and how sure it is."""

from __future__ import annotations

import math
from dataclasses import dataclass

from typing_extensions import override

from onelip.linalg import Bound, down
from onelip.transport.confidence import check_level, empirical_bernstein, normal_quantile


@dataclass(frozen=True)
class WassersteinEstimate:
    """What a critic f with constant L says about the Wasserstein-1 distance in l2: it is at least (E_p f - E_q f) / L.

    All distances are in the units of the samples. A negative difference says that the critic is worse than none, for
    one that is trained that its sign is flipped; its sign is not turned afterwards, since a choice made on held-out
    samples would bias what they say.

    Attributes:
        difference: Mean of f over n samples of p minus that over n samples of q; may be negative.
        variance_p: Of f over the samples of p, with the divisor n - 1.
        variance_q: Likewise of q.
        n_samples: n, of each distribution.
        constant: L.
        exact: The distance, where it is known.
        n_discrete: The first so many samples of each are compared exactly; 0 for none.
        discrete: Exact distance of these two finite sets; None if there are none.
        discrete_bound: What the critic says about these sets, which is at most `discrete`; None if there are none.
    """

    difference: float
    variance_p: float
    variance_q: float
    n_samples: int
    constant: Bound
    exact: float | None = None
    n_discrete: int = 0
    discrete: float | None = None
    discrete_bound: float | None = None

    @property
    def ratio(self) -> float:
        """`difference` divided by the constant: an unbiased estimate of a lower bound; may be negative."""
        return divided(self.difference, self.constant.value)

    @property
    def lower_bound(self) -> float:
        """The ratio, or 0 if that is more: no distance is negative. True of the distributions up to sampling error."""
        return max(0.0, self.ratio)

    @property
    def standard_error(self) -> float:
        """Standard error of the ratio."""
        variance = (self.variance_p + self.variance_q) / self.n_samples
        return 0.0 if self.constant.value == 0 else math.sqrt(variance) / self.constant.value

    def interval(self, level: float = 0.95) -> tuple[float, float]:
        """Give the interval of confidence for what the ratio estimates, with normal quantiles.

        Its upper end does not bound the distance, which is above the ratio's expectation if the critic is not the best.

        Args:
            level: Of confidence, in (0, 1).

        Returns:
            Its ends.
        """
        check_level(level, "interval")
        half = normal_quantile(level) * self.standard_error
        return self.ratio - half, self.ratio + half

    def confident_lower_bound(self, diameter: float, level: float = 0.95) -> float:
        """Bound the distance from below with a probability that holds for every n and needs no normality.

        For distributions of bounded support: f varies by at most L times the diameter on each.

        Args:
            diameter: Largest distance of two points of p, and of two points of q.
            level: Probability with which it holds, in (0, 1), over the draw of the held-out samples.

        Returns:
            The bound; 0 where nothing is shown.

        Raises:
            ValueError: The diameter is negative or not finite, or there is one sample.

        Paper: Maurer and Pontil 2009, arXiv:0907.3740, theorem 4, with half of the risk for each mean.
        """
        check_level(level, "confident_lower_bound")
        if not 0 <= diameter < math.inf:
            raise ValueError(f"diameter={diameter} in confident_lower_bound must be at least 0 and finite")
        spread, risk = diameter * self.constant.value, (1 - level) / 2
        variances = self.variance_p, self.variance_q
        deviation = sum(empirical_bernstein(v, self.n_samples, spread, risk) for v in variances)
        return max(0.0, divided(self.difference - deviation, self.constant.value))

    @override
    def __str__(self) -> str:
        low, high = self.interval()
        status = "proved" if self.constant.proved else "NOT proved"
        lines = [
            f"Wasserstein-1 distance >= {self.lower_bound:.6g}, standard error {self.standard_error:.2g}, "
            f"95 % interval [{low:.6g}, {high:.6g}], from {self.n_samples:,} held-out samples of each",
            f"critic's Lipschitz constant (l2) <= {self.constant.value:.9g} ({status}), divided by",
        ]
        if self.exact is not None:
            lines.append(f"exact distance {self.exact:.6g}")
        if self.discrete is not None:
            lines.append(
                f"of the first {self.n_discrete:,} of each: exact {self.discrete:.6g}, by the critic "
                f">= {self.discrete_bound:.6g}"
            )
        return "\n".join(lines)


def divided(difference: float, constant: float) -> float:
    """Divide by a Lipschitz constant, rounding down.

    Args:
        difference: Of values of a function.
        constant: Its constant.

    Returns:
        The quotient; 0 for a constant function.
    """
    return 0.0 if constant == 0 else down(difference / constant)
