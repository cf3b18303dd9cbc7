"""The page over many runs: what it holds, and what it does in a browser."""

import json
import re
import shutil
import subprocess
from html.parser import HTMLParser
from importlib.resources import files

import pytest
from benchmarks.browser import browser, find_browser
from tests.experiments.overview.made_up import fill, row

import onelip.experiments.overview
from onelip.experiments import UserError
from onelip.experiments.overview import write_overview
from onelip.experiments.overview.page import is_overview, render
from onelip.pictures import RadarPlot

HOSTILE = "</script><script>window.stolen = 1</script><img src=x onerror='window.stolen = 1'>\" & \u2028"
RADAR = RadarPlot(("a", "b", "c"), {HOSTILE: (1, 2, 3), "aol": (3, 2, float("nan"))}, caption=HOSTILE)


class Reader(HTMLParser):
    def __init__(self, page):
        super().__init__()
        self.tags, self.attributes, self.data, self._inside = [], [], "", False
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += attrs
        self._inside = ("id", "data") in attrs

    def handle_endtag(self, tag):
        self._inside = False

    def handle_data(self, data):
        self.data += data if self._inside else ""


@pytest.fixture
def rows(tmp_path):
    folder = tmp_path / "runs"
    runs = [fill(row(k, folder=folder, layer=("aoc", "aol")[k % 2], values={"accuracy": k / 100})) for k in range(60)]
    runs.append(row(60, folder=folder, layer=HOSTILE, status="failed", error=HOSTILE, values={}))
    runs.append(row(61, folder=folder, layer="aoc", status="unfinished", values={"val_accuracy": 0.5}))
    return runs


def test_it_holds_every_run_and_nothing_from_elsewhere(rows, tmp_path):
    page = render(rows, tmp_path, title=HOSTILE, radar=RADAR)
    reader = Reader(page)
    data = json.loads(reader.data)
    columns = {column["key"]: column for column in data["columns"]}
    assert len(data["paths"]) == 62
    assert columns["accuracy"]["values"][:61] == [*[k / 100 for k in range(60)], None]
    statuses = [columns["status"]["levels"][code] for code in columns["status"]["codes"]]
    assert statuses[59:] == ["finished", "failed", "unfinished"]
    assert columns["error"]["levels"] == [HOSTILE]
    assert HOSTILE in columns["layer"]["levels"]
    assert data["radar"]["names"] == [HOSTILE, "aol"]
    assert "1 failed" in page
    assert "1 unfinished" in page
    assert reader.tags.count("script") == 2
    assert "img" not in reader.tags
    outside = [
        value for name, value in reader.attributes if name in ("src", "href") and not value.startswith(("data:", "#"))
    ]
    assert outside == []
    known = page.replace("http://www.w3.org/2000/svg", "")
    assert not re.search(r"(https?:)?//[a-z0-9-]+\.[a-z]{2,}|@import|\burl\(", known.replace(reader.data, ""))


def test_a_page_is_replaced_and_no_other_file(rows, tmp_path):
    path = tmp_path / "o.html"
    assert write_overview(rows[:1], path) == path
    assert is_overview(path)
    write_overview(rows[:2], path, title="second")
    assert "<h1>second</h1>" in path.read_text()
    for name, content in (("notes.html", "<p>mine</p>"), ("empty.html", "")):
        (tmp_path / name).write_text(content)
        with pytest.raises(UserError, match="is no page over runs by onelip; name another file with --out"):
            write_overview(rows[:1], tmp_path / name)
        assert (tmp_path / name).read_text() == content
    with pytest.raises(UserError, match="is a folder; name a file in it"):
        write_overview(rows[:1], tmp_path)
    with pytest.raises(UserError, match="none is no folder"):
        write_overview(rows[:1], tmp_path / "none" / "o.html")


def test_curves_of_some_runs_only_are_said_to_be_so(rows, tmp_path):
    curves = json.loads(Reader(render(rows, tmp_path, most_curves=7)).data)["curves"]
    assert (curves["left_out"], len(curves["runs"])) == (53, 7)


@pytest.mark.skipif(shutil.which("node") is None, reason="node is not on this machine")
@pytest.mark.parametrize("name", ["columns.js", "charts.js", "figures.js", "table.js", "overview.js"])
def test_the_scripts_are_javascript(name):
    path = files(onelip.experiments.overview) / "templates" / name
    checked = subprocess.run(["node", "--check", str(path)], capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stderr


LOOK = """(() => {
  const shown = [...document.querySelectorAll("#runs tbody tr[data-row]")];
  const heads = [...document.querySelectorAll("#runs thead th")];
  const column = heads.findIndex((h) => h.textContent === "accuracy");
  return {
    cells: shown.map((r) => r.cells[column].textContent), runs: shown.map((r) => r.cells[0].textContent),
    all: +document.getElementById("runs").getAttribute("aria-rowcount") - 1,
    count: document.getElementById("count").textContent, sort: heads[column].getAttribute("aria-sort"),
    drawn: document.getElementById("drawn").textContent, lines: document.querySelectorAll("#learning .line").length,
    radar: document.querySelectorAll("#radar svg path[style*=dasharray]").length - 2,
    unharmed: window.stolen === undefined,
    detail: document.getElementById("detail").textContent,
  };
})()"""
HEAD = "[...document.querySelectorAll('#runs thead button')].find((b) => b.textContent === 'accuracy').click()"
WORDS = (
    "(() => {{ const f = document.getElementById('filter'); f.value = '{}'; f.dispatchEvent(new Event('input')); }})()"
)
LEVEL = "document.querySelectorAll('[data-column=layer] input')[{}].click()"
PAUSE = "new Promise((ok) => setTimeout(ok, 400))"


@pytest.mark.slow
@pytest.mark.skipif(find_browser() is None, reason="there is no Chromium on this machine")
def test_it_sorts_and_filters_in_a_browser(rows, tmp_path):
    path = write_overview(rows, tmp_path / "o.html", title=HOSTILE, radar=RADAR)
    with browser(find_browser()) as page:
        page.open(path)
        page.evaluate(PAUSE)
        first = page.evaluate(LOOK)
        page.evaluate(HEAD)
        rising = page.evaluate(LOOK)
        page.evaluate(LEVEL.format(1))
        page.evaluate(PAUSE)
        aol = page.evaluate(LOOK)
        page.evaluate(WORDS.format("STOLEN failed"))
        failed = page.evaluate(LOOK)
        page.evaluate("document.querySelector('#runs tbody tr[data-row] td').click()")
        chosen = page.evaluate(LOOK)
        page.evaluate(WORDS.format("no run has this"))
        page.evaluate(PAUSE)
        none = page.evaluate(LOOK)
        page.evaluate("document.getElementById('reset').click()")
        page.evaluate("document.getElementById('scroller').scrollTop = 1e6")
        page.evaluate(PAUSE)
        end = page.evaluate(LOOK)
        assert page.errors == []
    narrow = "\u202f"
    assert first["unharmed"]
    assert first["all"] == 62
    assert len(first["runs"]) < 40, "only rows that can be seen are there"
    assert first["cells"][:3] == [f"{share}.00{narrow}%" for share in (59, 58, 57)]
    assert first["sort"] == "descending"
    assert "60 finished" in first["count"]
    assert (first["lines"], first["radar"]) == (30, 2)
    assert "30 of 60 runs, the best by accuracy" in first["drawn"]
    assert rising["sort"] == "ascending"
    assert rising["cells"][:2] == [f"0.00{narrow}%", f"1.00{narrow}%"]
    # Switched off is aoc, the first one after the hostile name, so that every second run and that one are left.
    assert (aol["all"], aol["cells"][1]) == (31, f"3.00{narrow}%")
    assert failed["runs"] == ["runs/060"]
    assert failed["cells"] == ["\u2013"]
    assert HOSTILE in chosen["detail"]
    assert (none["all"], none["runs"]) == (0, [])
    assert none["count"].startswith("0 of 62 runs")
    assert end["runs"][-2:] == ["runs/060", "runs/061"], "runs without the number come last"
