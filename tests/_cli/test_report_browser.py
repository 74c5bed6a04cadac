"""The report in a browser: it opens alone, fits a telephone, and prints."""

import shutil
from contextlib import closing

import numpy as np
import pytest

playwright = pytest.importorskip("playwright.sync_api")
pytest.importorskip("matplotlib")
pytest.importorskip("jinja2")

CHROMIUM = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
)
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no chromium on this machine")


@pytest.fixture(scope="module")
def browser():
    with (
        playwright.sync_playwright() as started,
        closing(started.chromium.launch(executable_path=CHROMIUM, args=FLAGS)) as launched,
    ):
        yield launched


@pytest.fixture(params=["groups", "monitor", "many"])
def report(request, folder, run):
    """Pages with everything on them: long names, wide tables, many classes."""
    rng = np.random.default_rng(0)
    logits = rng.normal(scale=2, size=(600, 120))
    y = (logits / 2 + rng.gumbel(size=logits.shape)).argmax(axis=1)
    names = np.array([f"class-of-a-long-name-{k:03d}-without-a-space" for k in range(120)])
    np.savez("many.npz", logits=logits, y=names[y], names=names)
    command = {
        "groups": "all.npz --context domain --groups domain",
        "monitor": "all.npz --monitor --groups domain",
        "many": "many.npz --classes many.npz:names",
    }[request.param]
    assert run(f"report {command} -o report.html")[0] == 0
    return folder / "report.html"


def test_the_page_opens_alone_fits_a_telephone_and_prints(report, browser):
    said, asked = [], []
    with closing(browser.new_page(viewport={"width": 360, "height": 740})) as page:
        page.on("console", lambda message: said.append(message.text))
        page.on("pageerror", lambda error: said.append(str(error)))
        page.on("request", lambda request: asked.append(request.url))
        page.goto(report.as_uri())
        widths = page.evaluate("[...document.images].map(i => i.complete && i.naturalWidth)")
        scroll = page.evaluate("document.documentElement.scrollWidth")
        wide = page.evaluate("[...document.images].every(i => i.clientWidth <= innerWidth)")
        printed = page.pdf(format="A4")
    assert said == []
    assert [url for url in asked if not url.startswith("data:")] == [report.as_uri()]
    assert len(widths) >= 3
    assert min(widths) > 300
    assert scroll <= 360
    assert wide
    assert printed.startswith(b"%PDF")
    assert len(printed) > 20_000


def test_text_stands_out_from_its_ground(report, browser):
    """WCAG 2: a contrast of at least 4.5."""
    with closing(browser.new_page()) as page:
        page.goto(report.as_uri())
        colors = page.evaluate(
            """[...document.querySelectorAll("p, li, td, th, a, dd, figcaption")].map(e => {
                let ground = e
                while (ground && getComputedStyle(ground).backgroundColor === "rgba(0, 0, 0, 0)")
                    ground = ground.parentElement
                return [getComputedStyle(e).color,
                        ground ? getComputedStyle(ground).backgroundColor : "rgb(255, 255, 255)"]
            })"""
        )
    assert min(contrast(*map(rgb, pair)) for pair in {tuple(pair) for pair in colors}) >= 4.5


def rgb(text):
    return [int(part) for part in text[text.index("(") + 1 : -1].split(",")[:3]]


def contrast(one, other):
    """Relative luminances of two colours, the greater over the smaller, each plus .05."""
    luminance = []
    for color in (one, other):
        linear = [
            c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4
            for c in np.array(color) / 255
        ]
        luminance.append(np.dot([0.2126, 0.7152, 0.0722], linear) + 0.05)
    return max(luminance) / min(luminance)
