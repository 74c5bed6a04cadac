"""The report: one page that needs nothing else, whose words are true."""

import html
import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import skcalib
from skcalib import TemperatureScaling
from skcalib.metrics import calibration_report

pytest.importorskip("matplotlib")
pytest.importorskip("jinja2")


class Page(HTMLParser):
    """Tags with their attributes, the text, and the cells of each table by its name."""

    def __init__(self, path):
        super().__init__()
        self.tags, self.text, self.tables, self.within = [], "", {}, ""
        self.feed(Path(path).read_text(encoding="utf-8"))

    def handle_starttag(self, tag, attributes):
        attributes = dict(attributes)
        self.tags.append((tag, attributes))
        self.within = tag
        if attributes.get("role") == "region":
            self.rows = self.tables.setdefault(attributes["aria-label"], [])
        elif tag == "tr":
            self.rows.append([])
        elif tag in ("td", "th"):
            self.rows[-1].append("")

    def handle_endtag(self, tag):
        self.within = ""

    def handle_data(self, data):
        if self.within in ("td", "th"):
            self.rows[-1][-1] += data
        if self.within != "style":
            self.text += data.replace("\xa0", " ")

    def all(self, tag):
        return [attributes for name, attributes in self.tags if name == tag]


@pytest.fixture
def halves(mcq):
    """Rows that the report fits and rows that it shows, by its documented draw."""
    order = np.random.RandomState(0).permutation(1350)
    fit = np.sort(order[:675])
    return fit, np.setdiff1d(np.arange(1350), fit)


def test_the_page_needs_nothing_else_and_runs_no_script(folder, run):
    assert run("report all.npz --groups domain -o report.html")[0] == 0
    page = Page("report.html")
    assert page.all("script") == []
    assert not any(name.startswith("on") for _, attributes in page.tags for name in attributes)
    pictures = page.all("img")
    assert len(pictures) == 5
    assert all(img["src"].startswith("data:image/svg+xml;base64,") for img in pictures)
    assert all(len(img["alt"]) > 30 for img in pictures)
    assert {a["href"][0] for a in page.all("a")} == {"#"}
    assert [link["href"] for link in page.all("link")] == ["data:,"]
    assert "url(" not in Path("report.html").read_text()


def test_every_entry_of_the_contents_leads_somewhere(folder, run):
    run("report all.npz --groups domain -o report.html")
    page = Page("report.html")
    sections = [section["id"] for section in page.all("section")]
    assert [a["href"][1:] for a in page.all("a")] == sections
    assert len(sections) == 7


def test_the_figures_are_those_of_rows_that_the_fit_has_not_seen(folder, run, mcq, halves):
    fit, shown = halves
    run("report all.npz -o report.html")
    page = Page("report.html")
    model = TemperatureScaling().fit(mcq.logits[fit], mcq.target[fit])
    after = model.predict_proba(mcq.logits[shown])
    report = calibration_report(mcq.target[shown], after)
    rows = {row[0]: row for row in page.tables["Scores before and after"]}
    for name in ("log loss", "Brier score", "accuracy", "ECE", "miscalibration"):
        assert float(rows[name][3]) == pytest.approx(report[name].value, rel=2e-3)
    hits = int((after.argmax(axis=1) == mcq.target[shown]).sum())
    assert f"was right in {100 * hits / 675:.1f} % of the rows" in page.text
    assert f"gave its answer {100 * after.max(axis=1).mean():.1f} % on average" in page.text
    assert "The likeliest class is the same in every row." in page.text
    low, high = model.temperature_interval_
    assert f"by {model.temperature_:.3g} (95 % interval {low:.3g} to {high:.3g})" in page.text
    assert "TemperatureScaling was fitted on 675 rows, drawn at random (seed 0)" in page.text
    assert "of the other 675 rows, which the fit has not seen" in page.text


def test_the_rows_that_fit_can_be_named(folder, run, mcq):
    run("report all.npz --calibration half -o report.html")
    page = Page("report.html")
    model = TemperatureScaling().fit(mcq.logits[mcq.calibration], mcq.target[mcq.calibration])
    assert f"Scores are divided by {model.temperature_:.3g}" in page.text
    assert "675 rows, named by the file" in page.text
    run("report all.npz --calibration 0.2 --random-state 7 -o report.html")
    assert "fitted on 270 rows, drawn at random (seed 7)" in Page("report.html").text


def test_rows_of_a_cluster_fit_together_or_are_shown_together(folder, run, mcq):
    """Two of five clusters fit."""
    sizes = [9, 18, 27, 36, 45]
    cluster = np.repeat(np.arange(5), sizes)
    np.savez("c.npz", logits=mcq.logits[:135], y=mcq.target[:135], cluster=cluster)
    assert run("report c.npz --clusters cluster --calibration 0.4 -o report.html")[0] == 0
    drawn = np.random.RandomState(0).permutation(5)[:2]
    n = sum(sizes[place] for place in drawn)
    assert f"was fitted on {n} rows, drawn at random" in Page("report.html").text


def test_with_a_model_all_rows_are_shown_and_the_page_says_what_it_cannot_know(folder, run):
    run("fit all.npz --method vector -o model.json")
    assert run("report all.npz --model model.json -o report.html")[0] == 0
    text = Page("report.html").text
    assert "all 1,350 rows are shown" in text
    assert "The file does not say which rows it was fitted on" in text
    assert "VectorScaling starts from there" in text


@pytest.mark.parametrize("method", ["isotonic", "sigmoid"])
def test_a_model_without_a_temperature_says_so(method, folder, run):
    assert run(f"report all.npz --method {method} -o report.html")[0] == 0
    assert "has no single temperature" in Page("report.html").text


def test_groups_and_classes_have_their_figures(folder, run, mcq, halves):
    _, shown = halves
    run("report all.npz --groups domain -o report.html")
    tables = Page("report.html").tables
    groups = {row[0]: row for row in tables["Groups"][1:]}
    assert set(groups) == set(mcq.groups.tolist())
    of = mcq.groups[shown] == "arithmetic"
    right = mcq.logits[shown].argmax(axis=1) == mcq.target[shown]
    assert groups["arithmetic"][1:3] == [f"{of.sum()}", f"{right[of].mean():.3f}"]
    classes = {row[0]: row for row in tables["Classes"][1:]}
    n = (mcq.target[shown] == 2).sum()
    assert classes["2"][1:3] == [f"{n}", f"{n / 675:.3f}"]


def test_a_context_has_its_temperatures(folder, run):
    assert run("report all.npz --context domain -o report.html")[0] == 0
    page = Page("report.html")
    contexts = page.tables["Temperature by context"]
    assert [row[0] for row in contexts[1:3]] == ["any other", "domain = antonym"]
    assert "the table has each context's" in page.text


def test_of_many_classes_the_worst_are_shown_and_the_page_says_so(folder, run):
    rng = np.random.default_rng(0)
    logits = rng.normal(scale=2, size=(900, 300))
    np.save("many.npy", logits)
    np.save("y.npy", (logits / 2 + rng.gumbel(size=logits.shape)).argmax(axis=1))
    assert run("report many.npy y.npy --classes 0..299 -o report.html")[0] == 0
    page = Page("report.html")
    assert len(page.tables["Classes"]) == 1 + 25
    assert "The 25 of 300 classes" in page.text
    assert "300 labels" in page.text


def test_two_classes_of_words(folder, run):
    rng = np.random.default_rng(0)
    d = rng.normal(size=600)
    np.save("d.npy", 3 * d)
    np.save("y.npy", np.array(["calm", "<storm>"])[(rng.random(600) < 1 / (1 + np.exp(d))) * 1])
    status, _, _ = run("report d.npy y.npy --classes <storm>,calm -o report.html")
    assert status == 0
    source = Path("report.html").read_text()
    assert "<storm>" not in source
    assert html.escape("<storm>") in source
    assert [row[0] for row in Page("report.html").tables["Classes"][1:]] == ["calm"]


def test_a_title_is_text_not_html(folder, run, monkeypatch):
    from skcalib._cli import main

    title = "<script>alert(1)</script> & co"
    assert main(["report", "all.npz", "-o", "report.html", "--title", title]) == 0
    assert Page("report.html").all("script") == []
    assert title in Page("report.html").text


def test_weights_count(folder, run, mcq):
    """Weights of 0 and 1 are the rows of weight 1 alone."""
    keep = np.arange(1350) % 2 == 0
    np.savez("w.npz", logits=mcq.logits, y=mcq.target, w=keep.astype(float))
    np.savez("kept.npz", logits=mcq.logits[keep], y=mcq.target[keep])
    run("fit kept.npz -o model.json")
    run("report w.npz --weights w --model model.json -o weighted.html")
    run("report kept.npz --model model.json -o kept.html")
    weighted, kept = (
        Page(f"{n}.html").tables["Scores before and after"] for n in ("weighted", "kept")
    )
    for one, other in zip(weighted[1:6], kept[1:6], strict=True):
        assert one == other


def test_a_monitor_says_when_it_went_wrong(folder, run):
    rng = np.random.default_rng(0)
    logits = rng.normal(scale=3, size=(4000, 4))
    t = np.repeat([[1.0], [3.0]], 2000, axis=0)
    y = (logits / t + rng.gumbel(size=logits.shape)).argmax(axis=1)
    time = np.arange(4000)
    order = rng.permutation(4000)
    np.savez(
        "s.npz",
        logits=logits[order],
        y=y[order],
        time=time[order],
        calm=time[order] < 1000,
    )
    command = "report s.npz --calibration calm --monitor --time time -o report.html"
    assert run(command)[0] == 0
    page = Page("report.html")
    assert "drift" in [section["id"] for section in page.all("section")]
    row = int(re.search(r"Row ([\d,]+): ", page.text)[1].replace(",", ""))
    assert 1000 < row < 1200  # of the 3000 rows shown the first 1000 are like those of the fit
    run("report all.npz -o report.html")
    assert "drift" not in [section["id"] for section in Page("report.html").all("section")]


@pytest.mark.slow
def test_the_same_command_gives_the_same_page(folder, run):
    pages = []
    for name in ("one", "two"):
        run(f"report all.npz --groups domain -o {name}.html")
        pages.append(re.sub(r"\d+ \w+ \d{4}, \d\d:\d\d \S*", "", Path(f"{name}.html").read_text()))
    assert pages[0] == pages[1]


def test_the_page_names_versions_and_parameters(folder, run):
    run("report all.npz --parameter alpha=0.25 -o report.html")
    text = Page("report.html").text
    assert f"skcalib {skcalib.__version__}" in text
    assert "alpha0.25" in text


def test_no_figure_is_left_open(folder, run):
    from matplotlib import pyplot as plt

    run("report all.npz --groups domain -o report.html")
    assert plt.get_fignums() == []


def test_labels_beside_a_table_follow_its_columns(folder, run):
    frame = pd.read_csv("rows.csv", dtype=str)[["D", "C", "B", "A", "truth"]]
    frame.to_csv("turned.csv", index=False)
    for name in ("rows", "turned"):
        run(f"report {name}.csv --label-column truth -o {name}.html")
    assert Page("rows.html").tables == Page("turned.html").tables
