"""The error for parts of a network whose Lipschitz constant is not known."""

from __future__ import annotations


class UnknownLipschitzConstant(ValueError):  # noqa: N818  (reads as what it says)
    """A network contains something whose Lipschitz constant is not known.

    Args:
        name: Name of the node in the network's graph.
        kind: Class of the module or name of the function.
        reason: Why, in half a sentence, or None if it is merely not in the table.
        norm: In which it was looked for.
    """

    def __init__(self, name: str, kind: str, reason: str | None = None, norm: str = "l2") -> None:
        self.name = name
        self.kind = kind
        why = reason if reason is not None else "it is not in the table of known constants"
        super().__init__(
            f"{kind} at {name!r} has no known Lipschitz constant: {why}; "
            f"give it one with onelip.bounds.register_bound({kind}, rule{'' if norm == 'l2' else f', norm={norm!r}'})"
        )
