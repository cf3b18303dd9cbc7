"""Unknown names come with the nearest spelling."""

from __future__ import annotations

from onelip.linalg import unknown_name


def test_near_misses_are_corrected_and_others_listed() -> None:
    assert unknown_name("layer", "caley", ["cayley", "aol"]) == "layer 'caley' is unknown; did you mean 'cayley'?"
    assert unknown_name("layer", "zzz", ["b", "a"]) == "layer 'zzz' is unknown; it must be one of 'a', 'b'"
