"""The report as a table."""

from torch import nn

from onelip.swap import Left, Replaced, Swap


def test_the_table_has_a_row_for_each_module_and_one_line_for_remarks_alike():
    replaced = (
        Replaced("a", "Conv2d(3, 3, 3)", "AOCConv2d", 0.5, 0.875, ("padding_mode changed",)),
        Replaced("b.c", "ReLU", "MaxMin", None, None, ("padding_mode changed", "also at d")),
    )
    left = (Left("e", "BatchNorm2d", "divides", "less"), Left("f", "BatchNorm2d", "divides", "less"))
    assert str(Swap(nn.Identity(), replaced, left)).splitlines() == [
        "replaced  was              is now     weight change  direction kept",
        "a         Conv2d(3, 3, 3)  AOCConv2d  0.5            0.875",
        "b.c       ReLU             MaxMin",
        "  - padding_mode changed: a, b.c",
        "  - also at d: b.c",
        "",
        "left as they are",
        "BatchNorm2d (2 times): e, f",
        "  - divides",
        "  - instead: less",
    ]


def test_empty_reports_say_so():
    assert str(Swap(nn.Identity(), (), ())) == "Nothing was replaced.\n\nNothing was left unconstrained."
