"""The plot of an attack."""

import numpy as np
import pytest

from onelip.experiments import RunFolder
from onelip.experiments.report.attack_figure import attacked_steps, certified_steps, write_attack_figure

ATTACK = {
    "attack": "pgd", "norm": "l2", "samples": 4, "radii": [0.2, 0.35], "accuracy": [0.5, 0.0], "clean_on_same": 0.75,
    "certified_norm": "l2", "certified_on_same": [0.5, 0.0],
}  # fmt: skip
ROWS = """index,label,predicted,success,distance,radius,certified
3,0,1,1,0.3,0.35,0.29
5,0,1,1,0.1,0.2,0.09
7,1,0,1,0.0,0.2,0.0
9,1,1,0,,,0.29
"""
DISTANCES = np.array([0.3, 0.1, 0.0, np.inf])
CERTIFIED = np.array([0.29, 0.09, 0.0, 0.29])


def test_shares_hold_from_one_radius_to_the_next():
    assert attacked_steps(ATTACK, DISTANCES, 1.0) == ([0.0, 0.2, 0.35], [0.75, 0.5, 0.0])
    radii, shares = attacked_steps(ATTACK | {"attack": "ddn"}, DISTANCES, 1.0)
    assert (radii, shares) == ([0.0, 0.1, 0.3, 1.0], [0.75, 0.5, 0.25, 0.25])


def test_certified_shares_are_exact_in_their_norm_and_cautious_in_another():
    radii, shares = certified_steps(ATTACK, CERTIFIED, 1.0)
    assert (radii, shares) == ([0.0, 0.09, 0.29, 1.0], [0.75, 0.5, 0.0, 0.0])
    radii, shares = certified_steps(ATTACK | {"norm": "linf"}, CERTIFIED, 1.0)
    assert (radii, shares) == ([0.0, 0.2, 0.35], [0.5, 0.0, 0.0])


@pytest.mark.parametrize("changes", [{}, {"stages": {"pgd": [0.6, 0.1], "apgd-ce": [0.5, 0.0]}}, {"attack": "ddn"}])
@pytest.mark.parametrize("certified", [True, False])
def test_a_picture_is_written_beside_the_rows(changes, certified, tmp_path):
    attack = ATTACK | changes
    name = f"attack-{attack['attack']}-l2"
    rows = ROWS
    if not certified:
        rows = "\n".join(line.rpartition(",")[0] for line in ROWS.splitlines())
        attack = {k: v for k, v in attack.items() if not k.startswith("certified")}
    (tmp_path / f"{name}.csv").write_text(rows)
    path = write_attack_figure(RunFolder(tmp_path), attack)
    assert path == tmp_path / f"{name}.png"
    assert path.read_bytes().startswith(b"\x89PNG")
    assert sorted(p.name for p in tmp_path.iterdir()) == [f"{name}.csv", f"{name}.png"]
