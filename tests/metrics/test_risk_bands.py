import re
import sys
from html.parser import HTMLParser

import numpy as np
import pytest
from scipy.stats import binomtest

from skcalib.metrics import RiskBands, risk_bands

# A hundred loans at a risk of 1 %, three of which default; fifty at 10 %, five of which do.
LOANS = [1] * 3 + [0] * 97 + [1] * 5 + [0] * 45, [0.01] * 100 + [0.1] * 50


def problem(n_classes=2, n=400):
    """Labels, rare for the most part, probabilities that are multiples of 1/4096, weights."""
    rng = np.random.default_rng(n_classes)
    counts = rng.multinomial(4096, rng.dirichlet([3, *[0.1] * (n_classes - 1)], n))
    y = (rng.random((n, 1)) > (counts / 4096).cumsum(axis=1)[:, :-1]).sum(axis=1)
    return y, counts / 4096, rng.integers(0, 4, n)


def fields(bands):
    return np.column_stack(
        [bands.edges, bands.weight, bands.expected, bands.observed, bands.lower, bands.upper]
    )


def equal(found, expected):
    np.testing.assert_allclose(fields(found), fields(expected), rtol=0, atol=1e-12)


class Cells(HTMLParser):
    """Texts of the cells of a table, row by row, and the tags that occur."""

    def __init__(self, html):
        super().__init__()
        self.rows, self.tags = [], set()
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.rows[-1].append("")

    def handle_data(self, data):
        if self.rows:
            self.rows[-1][-1] += data


def test_loans_by_hand():
    bands = risk_bands(*LOANS)
    np.testing.assert_array_equal(bands.edges, [[0.005, 0.01], [0.05, 0.1]])
    np.testing.assert_array_equal(bands.weight, [100, 50])
    np.testing.assert_allclose(bands.expected, [1, 5], rtol=1e-14)
    np.testing.assert_array_equal(bands.observed, [3, 5])
    np.testing.assert_allclose(bands.mean_proba, [0.01, 0.1], rtol=1e-14)
    np.testing.assert_array_equal(bands.frequency, [0.03, 0.1])
    assert (bands.kind, bands.class_label, bands.confidence_level) == ("positive", 1, 0.95)
    assert bands.consistent.tolist() == [True, True]


@pytest.mark.parametrize("level", [0.5, 0.95])
def test_the_interval_is_clopper_and_pearsons(level):
    y, proba, _ = problem()
    bands = risk_bands(y, proba, confidence_level=level)
    assert len(bands.weight) > 5
    for k, n, lower, upper in zip(
        bands.observed, bands.weight, bands.lower, bands.upper, strict=True
    ):
        expected = binomtest(int(k), int(n)).proportion_ci(level, method="exact")
        np.testing.assert_allclose([lower, upper], expected, atol=1e-12)


def test_a_prediction_beyond_the_interval_is_not_consistent():
    # Of a hundred none happens: up to 1 - .025**(1 / 100) = .036 is possible.
    assert risk_bands([0] * 100, [0.03] * 100).consistent.tolist() == [True]
    assert risk_bands([0] * 100, [0.04] * 100).consistent.tolist() == [False]
    assert risk_bands([1] * 100, [0.97] * 100).consistent.tolist() == [True]
    assert risk_bands([1] * 100, [0.96] * 100).consistent.tolist() == [False]


@pytest.mark.parametrize("p", [0, 1])
def test_certainty_that_is_right_is_consistent_whatever_the_weights(p):
    weight = np.random.default_rng(0).random(1000)
    assert risk_bands([p] * 1000, [p] * 1000, sample_weight=weight).consistent.tolist() == [True]


def test_bands_are_open_on_the_left_and_0_lies_in_the_first():
    p = [0, 0.001, 0.0011, 0.002, 0.5, 0.51, 1]
    bands = risk_bands([0] * 7, p)
    expected = [[0, 0.001], [0.001, 0.002], [0.2, 0.5], [0.5, 1]]
    np.testing.assert_array_equal(bands.edges, expected)
    np.testing.assert_array_equal(bands.weight, [2, 2, 1, 2])
    assert [record[0] for record in bands.records] == [
        "[0, 0.001]",
        "(0.001, 0.002]",
        "(0.2, 0.5]",
        "(0.5, 1]",
    ]


@pytest.mark.parametrize("dtype", [np.float16, np.float32])
def test_an_edge_lies_in_the_band_that_ends_there_whatever_its_precision(dtype):
    edges = [0, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1]
    bands = risk_bands([0] * 10, np.array(edges[1:], dtype=dtype))
    np.testing.assert_array_equal(bands.weight, np.ones(10))


def test_bands_of_ones_own():
    bands = risk_bands([0, 0, 1, 1], [0.1, 0.3, 0.3, 0.9], edges=[0, 0.3, 1])
    np.testing.assert_array_equal(bands.edges, [[0, 0.3], [0.3, 1]])
    np.testing.assert_array_equal(bands.weight, [3, 1])
    np.testing.assert_allclose(bands.expected, [0.7, 0.9])
    np.testing.assert_array_equal(bands.observed, [1, 1])
    for edges in (np.array([0, 0.3, 1]), (0, 0.3, 1), np.array([0, 0.3, 1], dtype=np.float32)):
        again = risk_bands([0, 0, 1, 1], [0.1, 0.3, 0.3, 0.9], edges=edges)
        np.testing.assert_array_equal(again.weight, [3, 1])
    assert risk_bands([0, 1], [0.2, 0.7], edges=[0, 1]).weight.tolist() == [2]


@pytest.mark.parametrize(
    "edges",
    [
        [0, 0.5, 0.5, 1],
        [0, 0.7, 0.3, 1],
        [0.1, 1],
        [0, 0.9],
        [-0.1, 0, 1],
        [0, 1, 2],
        [0, np.nan, 1],
        [0],
        [[0, 1]],
        [[0], [1]],
        [1, 0],
    ],
)
def test_edges_that_do_not_ascend_from_0_to_1_are_refused(edges):
    with pytest.raises(ValueError, match=r"edges must begin at 0, ascend, and end at 1, got \["):
        risk_bands(*LOANS, edges=edges)


@pytest.mark.parametrize(("edges", "error"), [("abc", ValueError), (None, ValueError), ([], None)])
def test_edges_that_are_no_numbers_are_refused(edges, error):
    with pytest.raises(error or ValueError, match="edges"):
        risk_bands(*LOANS, edges=edges)


@pytest.mark.parametrize("level", [0, 1, 95, -0.1, np.nan, "high"])
def test_a_level_that_is_no_share_is_refused(level):
    with pytest.raises(ValueError, match="confidence_level"):
        risk_bands(*LOANS, confidence_level=level)


@pytest.mark.parametrize("kind", ["positive", "confidence", "class"])
def test_sums_over_bands_are_sums_over_rows(kind):
    y, proba, weight = problem(2)
    label = {"class_label": 0} if kind == "class" else {}
    bands = risk_bands(y, proba, kind=kind, sample_weight=weight, **label)
    p, happened = {
        "positive": (proba[:, 1], y == 1),
        "class": (proba[:, 0], y == 0),
        "confidence": (proba.max(axis=1), y == proba.argmax(axis=1)),
    }[kind]
    assert bands.weight.sum() == weight.sum()
    assert bands.expected.sum() == pytest.approx(weight @ p, rel=1e-13)
    assert bands.observed.sum() == weight @ happened
    assert bands.kind == kind
    assert bands.class_label == {"positive": 1, "class": 0, "confidence": None}[kind]


@pytest.mark.parametrize("kind", ["positive", "confidence"])
def test_a_weight_is_repetition(kind):
    y, proba, weight = problem()
    rows = np.repeat(np.arange(len(y)), weight)
    repeated = risk_bands(y[rows], proba[rows], kind=kind)
    equal(risk_bands(y, proba, kind=kind, sample_weight=weight), repeated)


def test_a_band_without_weight_is_empty():
    bands = risk_bands([0, 1], [0.1, 0.9], sample_weight=[1, 0])
    np.testing.assert_array_equal(bands.edges, [[0.05, 0.1]])


def test_weights_that_sum_to_one_tell_nothing():
    # Of half a row, not even that there are events is known.
    bands = risk_bands([0, 1], [0.1, 0.9], sample_weight=[0.5, 0.5])
    assert bands.upper[0] > 0.97
    assert bands.lower[1] < 0.03


def test_one_class_of_several():
    y, proba, _ = problem(3)
    names = np.array(["ant", "bee", "cat"])
    bands = risk_bands(names[y], proba, kind="class", class_label="bee")
    equal(bands, risk_bands(y == 1, proba[:, 1]))
    assert bands.class_label == "bee"
    assert str(bands).startswith("Risk of bee by band of predicted probability\n")


def test_the_positive_class_is_the_one_named():
    y, proba, _ = problem()
    names = np.array(["default", "paid"])
    found = risk_bands(names[y], proba[:, 0], pos_label="default")
    equal(found, risk_bands(1 - y, proba[:, 0]))
    assert found.class_label == "default"
    equal(risk_bands(names[y], proba, pos_label="default"), found)
    equal(risk_bands(names[y], proba, kind="class", class_label="default"), found)


def test_the_confidence_is_of_the_prediction():
    y, proba, _ = problem(3)
    bands = risk_bands(y, proba, kind="confidence")
    equal(bands, risk_bands(y == proba.argmax(axis=1), proba.max(axis=1)))
    assert bands.title == "Correct predictions by band of confidence"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"kind": "class"}, "kind='class' needs a class_label"),
        ({"class_label": 1}, "kind='class' needs a class_label and no other kind takes one"),
        ({"kind": "class", "class_label": 7}, "class_label=7 is not among the labels"),
        ({"kind": "both"}, "The 'kind' parameter of risk_bands must be"),
    ],
)
def test_kinds_and_classes_that_do_not_fit_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        risk_bands(*LOANS, **options)


def test_more_than_two_classes_have_no_positive_one():
    y, proba, _ = problem(3)
    with pytest.raises(ValueError, match="kind='positive' is for two classes, there are 3"):
        risk_bands(y, proba)


def test_the_table_in_words():
    # 99 % of 20000 rows are no events; thousands are set apart, numbers have four digits.
    y, p = np.r_[np.ones(200, int), np.zeros(19_800, int)], np.full(20_000, 0.013)
    title, head, row = str(risk_bands(y, p)).split("\n")
    assert title == "Risk of 1 by band of predicted probability"
    cells = [cell for cell in re.split(r"\s{2,}", head) if cell]
    assert cells == [
        "band",
        "rows",
        "expected",
        "observed",
        "mean risk",
        "rate",
        "95 % lower",
        "95 % upper",
        "consistent",
    ]
    cells = re.split(r"\s{2,}", row)
    assert cells[:6] == ["(0.01, 0.02]", "20,000", "260", "200", "0.013", "0.01"]
    assert cells[-1] == "no"
    assert repr(risk_bands(y, p)) == str(risk_bands(y, p))


def test_records_are_python_values_in_the_order_of_the_columns():
    bands = risk_bands(*LOANS, confidence_level=0.9)
    assert bands.columns[6:8] == ["90 % lower", "90 % upper"]
    first = bands.records[0]
    assert len(first) == len(bands.columns)
    assert [type(value) for value in first] == [str, *[float] * 7, bool]
    assert first[1:4] == (100, pytest.approx(1), 3)


def test_the_frame_is_the_table():
    pd = pytest.importorskip("pandas")
    bands = risk_bands(*LOANS)
    frame = bands.to_frame()
    assert isinstance(frame, pd.DataFrame)
    assert frame.index.tolist() == ["(0.005, 0.01]", "(0.05, 0.1]"]
    assert frame.index.name == "band"
    assert frame.columns.tolist() == bands.columns[1:]
    np.testing.assert_array_equal(frame["observed"], bands.observed)
    np.testing.assert_array_equal(frame["95 % upper"], bands.upper)
    np.testing.assert_array_equal(frame["mean risk"], bands.mean_proba)
    np.testing.assert_array_equal(frame["rate"], bands.frequency)
    np.testing.assert_array_equal(frame["consistent"], bands.consistent)
    assert frame["consistent"].dtype == bool


def test_without_pandas_all_but_the_frame_is_there(monkeypatch):
    monkeypatch.setitem(sys.modules, "pandas", None)
    bands = risk_bands(*LOANS)
    assert len(str(bands).split("\n")) == 4
    assert bands._repr_html_().startswith("<table>")
    with pytest.raises(ImportError, match="to_frame needs pandas: pip install pandas"):
        bands.to_frame()


@pytest.mark.parametrize("label", ["<b>", "a & b", "</caption><script>alert(1)</script>", '"'])
def test_html_shows_labels_as_they_are(label):
    names = np.array(sorted(["", label]), dtype=object)
    y = names[[0, 1, 1, 0]]
    html = risk_bands(y, [0.1, 0.9, 0.8, 0.3], pos_label=label, labels=names)._repr_html_()
    cells = Cells(html)
    assert cells.tags == {"table", "caption", "thead", "tbody", "tr", "th", "td"}
    assert "<b>" not in html
    assert "script>" not in html.replace("&lt;/script&gt;", "").replace("&lt;script&gt;", "")


def test_html_has_the_cells_of_the_text():
    bands = risk_bands(*LOANS)
    rows = Cells(bands._repr_html_()).rows
    assert rows == [re.split(r"\s{2,}", line.strip()) for line in str(bands).split("\n")[1:]]


def test_words_begin_at_the_left_and_numbers_end_at_the_right():
    bands = risk_bands(*LOANS)
    left = '<th style="text-align: left">{}</th>'.format
    html = bands._repr_html_()
    for words in ("band", *(record[0] for record in bands.records)):
        assert left(words) in html
    assert html.count("text-align") == 3
    assert all(len(line) == len(str(bands).split("\n")[1]) for line in str(bands).split("\n")[1:])
    # A note below the table is for reports.
    assert "tfoot" not in html
    assert len(str(bands).split("\n")) == 4


def test_bands_are_not_to_be_changed_and_compared_by_identity():
    bands = risk_bands(*LOANS)
    assert isinstance(bands, RiskBands)
    with pytest.raises(AttributeError):
        bands.weight = None
    assert bands != risk_bands(*LOANS)


def test_extreme_weights_give_numbers_and_no_warnings():
    rng = np.random.default_rng(0)
    y, p = rng.integers(0, 2, 100), rng.random(100)
    for exponent in ((-60, 60), (-20, 0), (30, 31), (-90, -80)):
        weight = 10 ** rng.uniform(*exponent, 100)
        with np.errstate(all="raise"):
            bands = risk_bands(y, p, sample_weight=weight)
        assert np.isfinite(fields(bands)).all()
        assert (bands.lower <= bands.frequency).all()
        assert (bands.frequency <= bands.upper).all()


def test_bands_next_to_1_keep_their_names():
    bands = risk_bands([1, 1], [0.9999999, 1.0], edges=[0, 0.5, 0.9999999, 1])
    assert [record[0] for record in bands.records] == ["(0.5, 0.9999999]", "(0.9999999, 1]"]


def test_a_mean_beyond_one_by_rounding_is_one():
    assert risk_bands(np.ones(20, int), np.full(20, 1 + 2.2e-16)).consistent.all()
    assert risk_bands(np.zeros(20, int), np.full(20, -1e-17)).consistent.all()
