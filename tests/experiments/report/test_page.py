"""The page of a run."""

import itertools
import json
import re
from html.parser import HTMLParser

import pytest
import torch

from onelip.certify import certify
from onelip.experiments import UserError
from onelip.experiments.report import page, write_report
from onelip.experiments.report.evidence import evidence_of_run
from onelip.experiments.report.numbers import share_text
from onelip.experiments.report.record import read_run

VOID = {"meta", "link", "img", "br"}


class Outline(HTMLParser):
    """Tags, headings and texts; complains about tags that are not closed in order."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if not {"style", "script"} & set(self.open):
            self.text += data

    def all(self, tag):
        return [attrs for name, attrs in self.tags if name == tag]


@pytest.fixture(scope="module")
def whole(finished, evidence) -> str:
    return page.render(read_run(finished.path), evidence)


@pytest.fixture
def _quick_evidence(monkeypatch, evidence):
    """The search takes seconds and is tested elsewhere."""
    monkeypatch.setattr(page, "evidence_of_run", lambda *arguments: evidence)


def test_the_page_is_one_file_that_needs_no_network(whole):
    outline = Outline(whole)
    for _, attributes in outline.tags:
        for key in ("src", "href", "srcset", "data", "action", "xlink:href"):
            assert (attributes.get(key) or "data:").startswith(("data:", "#"))
    assert not re.search(r"@import|url\(|https?://|fetch\(|XMLHttpRequest", whole)
    assert len(whole.encode()) < 3e6


def test_the_page_shows_every_part(whole, evidence):
    outline = Outline(whole)
    for words in (
        "constant proved from the stored weights",
        "attack never beat the certificate",
        "of the 359 test images are classified correctly",
        "whole network",
        "nearest found",
        "Configuration with every key spelled out",
        "onelip verify",
        "Epoch 4 was kept",
        "configured radii",
        "Variance left, of that of the images",
        "All 7 parts",
        "Below each gradient is its l2 norm, at most the constant of the network",
    ):
        assert words in outline.text
    # Three for each adversarial image; each class, and the gradients of all logits at it.
    assert len(outline.all("img")) == 3 * len(evidence.gallery.examples) + 10 * 11
    assert "Warning." not in outline.text
    assert "Make it with" not in outline.text


def test_the_page_can_be_read_without_seeing_it(whole):
    outline = Outline(whole)
    assert all(image["alt"] for image in outline.all("img"))
    assert all(svg.get("aria-hidden") or svg.get("aria-label") for svg in outline.all("svg"))
    levels = [int(tag[1]) for tag, _ in outline.tags if re.fullmatch(r"h[1-6]", tag)]
    assert levels[0] == 1
    assert all(after - before <= 1 for before, after in itertools.pairwise(levels))
    identifiers = [attributes["id"] for _, attributes in outline.tags if "id" in attributes]
    assert len(identifiers) == len(set(identifiers))
    labels = [attributes["aria-labelledby"] for _, attributes in outline.tags if "aria-labelledby" in attributes]
    assert set(labels) <= set(identifiers)
    assert [html["lang"] for html in outline.all("html")] == ["en"]


def test_the_page_fits_a_phone_and_paper(whole):
    assert 'content="width=device-width, initial-scale=1"' in whole
    assert "@media print" in whole
    assert "prefers-color-scheme: dark" in whole
    outline = Outline(whole)
    opened = [
        tag for tag, attributes in outline.tags if tag == "table" or "scroll" in (attributes.get("class") or "").split()
    ]
    assert opened == ["div", "table"] * (len(opened) // 2)


@pytest.mark.parametrize(
    ("weights", "sentence"),
    [
        ({"rule": "last", "epoch": 4}, "The weights after the last epoch were kept."),
        (
            {"rule": "best", "epoch": 2},
            f"Epoch 2 was kept: its certified validation accuracy, {share_text(0.52)}, is the highest.",
        ),
        (None, "the test images play no part here."),
    ],
)
@pytest.mark.usefixtures("_quick_evidence")
def test_the_page_says_which_weights_were_kept(run, weights, sentence):
    results = json.loads(run.results_file.read_text()) | {"weights": weights}
    run.results_file.write_text(json.dumps(results))
    text = Outline(write_report(run.path).read_text("utf-8")).text
    assert sentence in text
    assert text.count("kept") == (0 if weights is None else 1)


@pytest.mark.usefixtures("_quick_evidence")
def test_the_same_run_gives_the_same_page(run):
    first = write_report(run.path).read_text("utf-8")
    assert write_report(run.path).read_text("utf-8") == first
    assert not list(run.path.glob(".*"))


@pytest.mark.usefixtures("_quick_evidence")
def test_what_a_run_says_is_escaped(run):
    evil = '</script><img src=x onerror="alert(1)">'
    results = json.loads(run.results_file.read_text())
    results |= {"name": evil, "data": evil, "split": evil}
    results["machine"]["cpu"] = evil
    run.results_file.write_text(json.dumps(results))
    run.config_file.write_text(f"# {evil}\n" + run.config_file.read_text())
    text = write_report(run.path).read_text("utf-8")
    assert "<img src=x" not in text
    assert text.count("</script>") == 1
    assert Outline(text).text.count(evil) >= 5


@pytest.mark.parametrize(
    ("missing", "words"),
    [
        (
            ["attack.json", "checkpoints/best.ckpt"],
            ["has not been attacked yet. Make it with onelip attack ", "not attacked yet"],
        ),
        (["certificate.json"], ["There is no certificate yet. Make it with onelip certify "]),
        (
            ["results.json", "checkpoints/best.ckpt"],
            ["This run has no results yet. Make it with onelip train --resume "],
        ),
        (["metrics.csv", "checkpoints/best.ckpt"], ["No epoch has been recorded."]),
        (["checkpoints/best.ckpt"], ["The images cannot be shown: ", "best.ckpt is missing"]),
        (["config.yaml"], ["The images cannot be shown: "]),
        (
            ["attack.json", "certificate.json", "results.json", "metrics.csv", "config.yaml"],
            ["This run has no results yet", "There is no certificate yet", "No epoch has been recorded."],
        ),
    ],
)
def test_what_is_missing_is_named_with_the_command_that_makes_it(run, missing, words):
    for name in missing:
        (run.path / name).unlink()
    text = " ".join(Outline(write_report(run.path).read_text("utf-8")).text.split())
    for phrase in words:
        assert phrase in text


def test_a_broken_file_is_named_at_the_top(run):
    weights = run.path / "weights.safetensors"
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    outline = Outline(write_report(run.path).read_text("utf-8"))
    assert "certificate.json cannot be used" in outline.text
    assert any(attributes.get("role") == "alert" for _, attributes in outline.tags)


def test_a_run_of_one_epoch_on_colour_images(run):
    run.metrics_file.write_text("".join(run.metrics_file.read_text().splitlines(keepends=True)[:2]))
    network = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3, padding=1), torch.nn.Flatten(), torch.nn.Linear(64, 3))
    certify(network, torch.rand(4, 3, 4, 4), torch.tensor([0, 1, 2, 0])).save(run.path)
    outline = Outline(write_report(run.path).read_text("utf-8"))
    assert "1 epoch," in outline.text
    assert "attack.json is about another certificate" in outline.text
    assert "not those of the certificate" in outline.text


def test_a_folder_that_is_not_there_is_a_mistake_of_the_user(tmp_path):
    with pytest.raises(UserError, match="is not a folder"):
        write_report(tmp_path / "nowhere")


@pytest.mark.usefixtures("_quick_evidence")
def test_a_page_that_fails_leaves_the_old_one(run, monkeypatch):
    path = write_report(run.path)
    before = path.read_text("utf-8")
    monkeypatch.setattr(page, "render", lambda *arguments: "\ud800")
    with pytest.raises(UnicodeEncodeError):
        write_report(run.path)
    assert path.read_text("utf-8") == before
    assert not list(run.path.glob(".*"))


def test_paths_with_spaces_are_quoted(run):
    moved = run.path.rename(run.path.parent / "my run")
    text = page.render(read_run(moved), None)
    assert f"onelip verify &#39;{moved}&#39;" in text


@pytest.mark.usefixtures("_quick_evidence")
def test_pictures_are_written_beside_the_page_if_they_are_wanted(run, monkeypatch):
    drawn = []
    monkeypatch.setattr(page, "write_pictures", lambda record, evidence: drawn.append((record.folder, evidence)))
    write_report(run.path)
    assert drawn == []
    write_report(run.path, pictures=True)
    ((folder, found),) = drawn
    assert folder == run
    assert found is page.evidence_of_run(None)


def test_an_ordinary_run_shows_the_same_sections_without_a_promise(ordinary):
    record = read_run(ordinary.path)
    text = page.render(record, evidence_of_run(record))
    headings = re.findall(r"<h2[^>]*>([^<]*)", text)
    assert headings == [
        "Margins", "Training", "Norms of the layers", "Under attack", "The signal through the depth",
        "What moves each logit", "Test images and their nearest adversarial images", "Check it yourself",
        "Where the numbers come from",
    ]  # fmt: skip
    for absent in ("certified radi", "Certified accuracy", "configured radii", "it is proved"):
        assert absent not in text
