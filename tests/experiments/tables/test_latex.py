"""LaTeX that compiles: balanced, escaped, rows of one width."""

import re

import pytest

from onelip.experiments.tables.filling import fill
from onelip.experiments.tables.grid import Slot, Spec
from onelip.experiments.tables.latex import escape, latex
from onelip.experiments.tables.published import Published
from onelip.experiments.tables.selection import Selected

SPECIAL = re.compile(r"(?<!\\)[&%$#_{}~^]")


def check_latex(text):
    """Check what a compiler would trip over: braces, environments, columns and commands that are not there."""
    assert text.isascii()
    lines = [line for line in text.splitlines() if not line.startswith("%")]
    whole = "\n".join(lines)
    plain = re.sub(r"\\[{}]", "", whole)
    assert plain.count("{") == plain.count("}")
    assert len(re.findall(r"(?<!\\)\$", whole)) % 2 == 0
    opened = []
    for kind, name in re.findall(r"\\(begin|end)\{(\w+)\}", whole):
        if kind == "begin":
            opened.append(name)
        else:
            assert opened.pop() == name
    assert opened == []
    known = {
        "begin", "end", "centering",
        "caption", "toprule", "midrule", "bottomrule", "multicolumn", "textbf", "pm", "par",
        "smallskip", "footnotesize", "textbackslash", "textasciitilde", "textasciicircum", "textless", "textgreater",
        "textbar", "leq", "times",
    }  # fmt: skip
    assert set(re.findall(r"\\([A-Za-z]+)", whole)) <= known
    for tabular in re.findall(r"\\begin\{tabular\}\{(l*r*)\}(.*?)\\end\{tabular\}", whole, re.DOTALL):
        for row in re.findall(r"^(.*) \\\\$", tabular[1], re.MULTILINE):
            spans = [int(n) for n in re.findall(r"\\multicolumn\{(\d+)\}", row)]
            cells = len(re.split(r"(?<!\\)&", row)) - len(spans) + sum(spans)
            assert cells == len(tabular[0]), row


@pytest.mark.parametrize(
    ("text", "escaped"),
    [
        ("a_b & 50 %", r"a\_b \& 50 \%"), ("c^3 {k} #1 $", r"c\textasciicircum{}3 \{k\} \#1 \$"),
        ("\\x ~ <>|", r"\textbackslash{}x \textasciitilde{} \textless{}\textgreater{}\textbar{}"),
        ('"1-Lipschitz"', "''1-Lipschitz''"), ("\N{EN DASH} ± 1", r"-- $\pm$ 1"),
    ],
)  # fmt: skip
def test_escapes(text, escaped):
    assert escape(text) == escaped


def _grid(title="it"):
    slots = {
        (0, 0): Slot(given=[0.5, 0.7], published=Published("60", "", "", "")), (0, 1): Slot(given=[0.1]),
        (0, 2): "c^3_k",
    }  # fmt: skip
    columns = [("A & B", "x"), ("A & B", "y"), ("C", "x")]
    return fill(Spec(title, ("row",), [("50 %",)], columns, slots, ["Note_1."], "p_q"), Selected([]))


def test_a_table():
    text = latex([_grid()], False)
    check_latex(text)
    assert r"\begin{tabular}{lrrr}" in text
    assert r" & \multicolumn{2}{c}{A \& B} & \multicolumn{1}{c}{C} \\" in text
    assert r"row & x & y & x \\" in text
    assert r"50 \% & \textbf{60.00 $\pm$ 14.14} & 10.00 & c\textasciicircum{}3\_k \\" in text
    assert r"Note\_1." in text


def test_published_numbers_are_a_table_of_their_own():
    text = latex([_grid(), _grid("other")], True)
    check_latex(text)
    assert text.count(r"\begin{table}") == 4
    assert r"Published, not measured here: p\_q." in text


def test_the_check_itself_finds_mistakes():
    text = latex([_grid()], False)
    for broken in (
        text.replace("{table}", "{table", 1), text.replace(r"\end{tabular}", ""), text.replace("10.00 &", ""),
        text + "\\usepackage{x}",
        text.replace(r"$\pm$", r"$\pm"), text.replace("Note", "\N{EN DASH}"),
    ):  # fmt: skip
        with pytest.raises((AssertionError, IndexError)):
            check_latex(broken)
