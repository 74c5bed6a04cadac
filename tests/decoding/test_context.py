"""A table of temperatures by context: what it answers, as JSON, while it learns."""

import json
import math
import pickle
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from contexts import TRUE, draw, frame
from oracles import best_temperature
from sklearn.exceptions import NotFittedError

import skcalib
from skcalib import AdaptiveTemperatureScaling
from skcalib.decoding import (
    AnnealingPolicy,
    ConstantPolicy,
    ContextPolicy,
    EntropyPolicy,
    Session,
    TemperatureProcessor,
)

# log T = log 2, for medical + log 1/2, for story + log 2, for others + log 3/2; from length 0 to 10
# a line from 0 to log 4.
TABLE = {
    "format": "skcalib temperature table",
    "version": 1,
    "log_temperature": math.log(2),
    "categories": [
        {
            "column": "kind",
            "levels": [["medical", math.log(0.5)], ["story", math.log(2)]],
            "others": math.log(1.5),
        }
    ],
    "numbers": [{"column": "length", "knots": [0, 10], "values": [0, math.log(4)]}],
    "score_features": [],
    "score_temperature": 1.0,
    "bounds": [0.1, 12.0],
}
# The margin of logits 0 and m is m. From 0 to 2 it adds a line from 0 to log 4.
BY_MARGIN = TABLE | {
    "numbers": [],
    "score_features": [{"column": "margin", "knots": [0, 2], "values": [0, math.log(4)]}],
}


def rules(prior=None, **options):
    prior = {"medical": 0.5, "story": 2.0} if prior is None else prior
    return AdaptiveTemperatureScaling(context="kind", prior=prior, **options)


def fitted(levels="strings", **options):
    """A policy on two columns of context, and rows to ask it about."""
    logits, y, kind = draw(400, 0)
    code = np.unique(kind, return_inverse=True)[1]
    kinds = {"strings": kind, "integers": 7 * code, "booleans": code > 0, "numbers": code / 10}
    X = frame(logits, kind=kinds[levels], length=np.linspace(-1, 3, len(y)))
    model = AdaptiveTemperatureScaling(
        context=["kind", "length"], categorical_features=["kind"], **options
    )
    policy = ContextPolicy(model.fit(X, y))
    asked = [{"kind": k, "length": v} for k, v in zip(X["kind"], X["length"], strict=True)]
    return policy, X, logits, asked


def odd_rows(asked):
    """Rows seen in fit, and others: unknown, missing, out of range."""
    known = asked[0]["kind"]
    kinds = [known, "unheard of", None, math.nan, np.int64(7), [1]]
    lengths = [0.25, -1e9, 1e9, math.inf, -math.inf, None, math.nan]
    return [{"kind": k, "length": v} for k in kinds for v in lengths] + asked[:50]


# What a table answers


@pytest.mark.parametrize(
    ("kind", "length", "expected"),
    [
        ("medical", 0, 1.0),  # 2 * 1/2
        ("medical", 5, 2.0),  # ... * 4 ** (5 / 10)
        ("medical", 2.5, 2**0.5),  # ... * 4 ** (1 / 4)
        ("story", 0, 4.0),
        ("story", 5, 8.0),
        ("story", 10, 12.0),  # 16, clipped
        ("news", 0, 3.0),
        ("news", 10, 12.0),
        (None, -1e300, 3.0),
        (None, None, 3.0),
        ("story", math.nan, 4.0),
        ("story", pd.NA, 4.0),
        ("medical", math.inf, 4.0),
        ("medical", -math.inf, 1.0),
        (["no", "level"], np.float32(5), 6.0),
        (np.str_("medical"), np.int64(10), 4.0),
    ],
)
def test_a_table_multiplies_what_its_columns_say_and_clips(kind, length, expected):
    policy, row = ContextPolicy(TABLE), {"kind": kind, "length": length, "not asked for": 1}
    answer = policy.temperature(row)
    assert type(answer) is float
    assert answer == pytest.approx(expected, rel=1e-15)
    assert policy([0.0, 1.0], context=row) == answer


def test_one_mapping_counts_for_all_rows_and_a_sequence_row_by_row():
    policy, logits = ContextPolicy(TABLE), np.zeros((3, 2))
    rows = [{"kind": "medical", "length": 0}, None, {"kind": "story", "length": 5}]
    np.testing.assert_allclose(policy(logits, context=rows), [1, 3, 8], rtol=1e-15)
    np.testing.assert_allclose(policy(logits, context=tuple(rows)), [1, 3, 8], rtol=1e-15)
    asked = np.array(rows, dtype=object)
    np.testing.assert_allclose(policy(logits, context=asked), [1, 3, 8], rtol=1e-15)
    np.testing.assert_allclose(policy(logits, context=rows[2]), [8, 8, 8], rtol=1e-15)
    assert policy(logits[0], context=rows[2:]) == pytest.approx(8)
    assert policy(logits[:1], context=rows[2]).shape == (1,)


def test_a_line_may_bend_at_knots():
    curve = {"column": "length", "knots": [0, 1, 3], "values": [0, math.log(2), math.log(18)]}
    policy = ContextPolicy(TABLE | {"numbers": [curve], "log_temperature": 0, "categories": []})
    answers = [policy.temperature({"length": x}) for x in (-1, 0.5, 1, 2, 3, 4)]
    # up by log 2 in one, then by log 9 in two; 18 is clipped to 12
    np.testing.assert_allclose(answers, [1, 2**0.5, 2, 6, 12, 12], rtol=1e-14)


def test_of_a_context_of_none_nothing_is_known():
    policy = ContextPolicy(TABLE)
    np.testing.assert_allclose(policy(np.zeros((2, 3))), [3, 3], rtol=1e-15)
    assert policy.temperature() == policy.temperature(None) == pytest.approx(3)


def test_rules_alone_serve_themselves_and_their_mean():
    policy = ContextPolicy(rules(bounds=(0.7, 3)))
    answers = [policy.temperature({"kind": k}) for k in ("story", "medical", "news", None)]
    np.testing.assert_allclose(answers, [2.0, 0.7, 1.0, 1.0])  # .5 * 2 = 1 ** 2
    assert not policy.reads_logits


def test_rules_that_are_a_function_serve_what_it_returns():
    policy = ContextPolicy(rules(lambda row: {"story": 2.0}.get(row["kind"], 0.5)))
    assert policy.temperature({"kind": "story"}) == pytest.approx(2.0)
    answers = policy(np.zeros((2, 2)), context=[{"kind": "story"}, {"kind": "news"}])
    np.testing.assert_allclose(answers, [2.0, 0.5])


def test_score_features_read_the_row_and_nothing_that_is_added_to_it():
    policy = ContextPolicy(BY_MARGIN)
    assert policy.reads_logits
    # medical: 2 * 1/2, times 4 ** (margin / 2), flat from a margin of 2 on
    logits = np.array([[0, 0, -np.inf], [0, 1, -np.inf], [0, -np.inf, 9]], dtype=np.float32)
    answers = policy(logits, context={"kind": "medical"})
    np.testing.assert_allclose(answers, [1, 2, 4], rtol=1e-7)
    np.testing.assert_allclose(policy(logits + 64, context={"kind": "medical"}), answers, rtol=1e-6)
    alone = [policy(row, context={"kind": "medical"}) for row in logits]
    np.testing.assert_array_equal(alone, answers)
    mixed = policy(logits, context=[{"kind": "story"}, None, {"kind": "medical"}])
    np.testing.assert_allclose(mixed, [4, 6, 4], rtol=1e-7)


def test_a_row_with_one_candidate_has_no_margin_to_go_by():
    one = [0.0, -np.inf]
    assert ContextPolicy(BY_MARGIN)(one, context={"kind": "story"}) == pytest.approx(4)


def test_bounds_clip_what_context_and_scores_say_together():
    # story: 4 * 4 = 16, clipped; medical * 1/1024 = 1/256 before and 1/64 with its scores
    low = BY_MARGIN | {"log_temperature": math.log(2 / 1024), "bounds": [1 / 64, 12]}
    assert ContextPolicy(BY_MARGIN)([0.0, 2.0], context={"kind": "story"}) == 12
    answer = ContextPolicy(low)([0.0, 2.0], context={"kind": "story"})  # 4 / 1024 * 4
    assert answer == pytest.approx(1 / 64)
    assert ContextPolicy(low)([0.0, 0.0], context={"kind": "story"}) == 1 / 64


def test_temperatures_beyond_the_floats_are_greedy_or_huge_and_raise_nothing():
    rows = [{"kind": "medical", "length": 0}, {"kind": "story", "length": 0}]
    levels = [["medical", -800.0], ["story", 800.0]]
    categories = [{"column": "kind", "levels": levels, "others": 0.0}]
    for table in (TABLE, BY_MARGIN):
        policy = ContextPolicy(table | {"categories": categories, "bounds": [0.0, None]})
        with np.errstate(all="raise"):
            cold, hot = policy(np.zeros((2, 2)), context=rows)
        assert cold == 0
        assert hot > 1e300


@pytest.mark.parametrize("score_features", [False, True])
@pytest.mark.parametrize("levels", ["strings", "integers", "booleans", "numbers"])
def test_answers_are_those_of_the_model(levels, score_features):
    policy, X, logits, asked = fitted(levels, score_features=score_features, bounds=(0.7, 3.0))
    expected = policy.model.predict_temperature(X)
    assert len(np.unique(expected)) > 50
    np.testing.assert_allclose(policy(logits, context=asked), expected, rtol=1e-13)
    if not score_features:
        assert [policy.temperature(row) for row in asked] == [
            policy.model.predict_temperature(row) for row in asked
        ]


# JSON


@pytest.mark.parametrize(
    "options",
    [{}, {"score_features": True}, {"bounds": (0.7, 2)}, {"prior": {"kind": {"hot": 3.0}}}],
)
@pytest.mark.parametrize("levels", ["strings", "integers", "booleans", "numbers"])
def test_json_and_back_answers_the_same_to_the_last_bit(levels, options):
    policy, _, logits, asked = fitted(levels, **options)
    served = ContextPolicy.from_json(policy.to_json())
    rows = odd_rows(asked)
    seen = logits[: len(rows)]
    np.testing.assert_array_equal(served(seen, context=rows), policy(seen, context=rows))
    np.testing.assert_array_equal(served(seen), policy(seen))
    assert served.reads_logits == policy.reads_logits
    assert served.to_json() == policy.to_json()


def test_json_keeps_words_numbers_and_truth_values_apart():
    """In JSON's own dictionaries every key is a string."""
    prior = {"1": 0.25, 1: 0.5, "True": 2.0, 2.5: 4.0, "2.5": 8.0}
    served = ContextPolicy.from_json(ContextPolicy(rules(prior)).to_json())
    answers = {level: served.temperature({"kind": level}) for level in prior}
    assert answers == pytest.approx(prior)
    flags = ContextPolicy.from_json(ContextPolicy(rules({True: 0.5, False: 2.0})).to_json())
    assert [flags.temperature({"kind": x}) for x in (np.True_, False)] == pytest.approx([0.5, 2])


def test_rules_alone_go_to_json_and_back():
    policy = ContextPolicy(rules(bounds=(0.6, math.inf)))
    served = ContextPolicy.from_json(policy.to_json())
    for kind in ("medical", "story", "news", None):
        assert served.temperature({"kind": kind}) == policy.temperature({"kind": kind})
    assert json.loads(policy.to_json())["bounds"] == [0.6, None]


def test_columns_named_by_position_stay_numbers():
    policy = ContextPolicy(AdaptiveTemperatureScaling(context=[0], prior={"story": 2.0}))
    served = ContextPolicy.from_json(policy.to_json())
    assert served.temperature({0: "story"}) == pytest.approx(2.0)


@pytest.mark.parametrize("bounds", [(1, 3), np.array([1, 3]), np.float32([1, 3])])
def test_bounds_of_any_kind_of_number_are_served_as_floats_and_go_to_json(bounds):
    policy = ContextPolicy(rules(bounds=bounds))
    for served in (policy, ContextPolicy.from_json(policy.to_json())):
        answer = served.temperature({"kind": "medical"})
        assert (type(answer), answer) == (float, 1.0)


def test_a_process_that_has_nothing_but_the_json_serves_the_same():
    policy, _, _, asked = fitted(bounds=(0.7, 2.0))
    rows = [{"kind": str(row["kind"]), "length": float(row["length"])} for row in asked[:20]]
    rows += [{"kind": "unheard of", "length": None}, {"kind": None, "length": 1e9}]
    program = (
        "import json, sys\n"
        "from skcalib.decoding import ContextPolicy\n"
        "table, rows = json.load(sys.stdin)\n"
        "policy = ContextPolicy.from_json(table)\n"
        "print(json.dumps([policy.temperature(row) for row in rows]))\n"
    )
    answer = subprocess.run(
        [sys.executable, "-c", program],
        input=json.dumps([policy.to_json(), rows]),
        capture_output=True,
        text=True,
        check=True,
        cwd=Path(skcalib.__file__).parents[1],
    )
    assert json.loads(answer.stdout) == [policy.temperature(row) for row in rows]


def test_what_json_does_not_hold_is_refused():
    with pytest.raises(ValueError, match=r"a prior that is a function cannot .* as a dict"):
        ContextPolicy(rules(lambda row: 1.0)).to_json()
    with pytest.raises(ValueError, match=r"strings, finite numbers .* got \(1, 2\) in .* 'kind'"):
        ContextPolicy(rules({(1, 2): 1.0})).to_json()
    with pytest.raises(ValueError, match=r"strings, finite numbers .* got inf in column 'kind'"):
        ContextPolicy(rules({math.inf: 1.0})).to_json()


@pytest.mark.parametrize("text", ["", "T = 1", '{"format":', "{'format': 1}"])
def test_text_that_is_no_json_is_refused(text):
    with pytest.raises(ValueError, match=r"text must be what to_json wrote, got "):
        ContextPolicy.from_json(text)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"format": "cooking recipe"}, r"table must be a dict made by to_table"),
        ({"version": 2}, r"table has version 2; this version of skcalib reads 1"),
        ({"log_temperature": "hot"}, r"table is damaged: .*'hot' is no finite number"),
        ({"log_temperature": math.nan}, r"table is damaged: .*nan is no finite number"),
        ({"categories": None}, r"table is damaged: TypeError"),
        ({"categories": [{"column": "kind", "levels": []}]}, r"damaged: KeyError\('others'\)"),
        (
            {"categories": [{"column": "kind", "levels": [["a", None]], "others": 0}]},
            r"damaged: .*None is no finite number",
        ),
        (
            {"categories": [{"column": "kind", "levels": [[["a"], 1]], "others": 0}]},
            r"damaged: TypeError",
        ),
        ({"numbers": [{"column": "n", "knots": [], "values": []}]}, r"damaged: .*knots must"),
        ({"numbers": [{"column": "n", "knots": [0, 1], "values": [1]}]}, r"damaged: .*knots must"),
        ({"numbers": [{"column": "n", "knots": [1, 0], "values": [1, 2]}]}, r"knots must ascend"),
        (
            {"score_features": [{"column": "mood", "knots": [0], "values": [1]}]},
            r"damaged: .*'mood' is none of the score features",
        ),
        ({"bounds": [1]}, r"damaged: ValueError"),
        ({"bounds": [2, 1]}, r"damaged: .*bounds must be 0 <= low < high"),
        ({"bounds": [-1, None]}, r"damaged: .*bounds must be 0 <= low < high"),
    ],
)
def test_a_damaged_table_is_refused_when_it_is_read_not_when_it_serves(change, message):
    with pytest.raises(ValueError, match=message):
        ContextPolicy(TABLE | change)
    with pytest.raises(ValueError, match=message):
        ContextPolicy.from_json(json.dumps(TABLE | change))


def test_a_table_cut_short_is_refused():
    for key in set(TABLE) - {"format", "version"}:
        rest = {name: value for name, value in TABLE.items() if name != key}
        with pytest.raises(ValueError, match=rf"table is damaged: KeyError\('{key}'\)"):
            ContextPolicy(rest)


# What is no context


@pytest.mark.parametrize(
    ("context", "error", "message"),
    [
        ({"kind": "story"}, ValueError, r"a value for each of \['kind', 'length'\], .* None"),
        ({}, ValueError, r"the context must have a value for each of \['kind', 'length'\]"),
        ({"kind": "a", "length": "long"}, ValueError, r"column 'length' .* got 'long'"),
        ({"kind": "a", "length": [1, 2]}, ValueError, r"column 'length' .* got \[1, 2\]"),
        ("story", TypeError, r"context must be a mapping of \['kind', 'length'\] .* got 'story'"),
        (7, TypeError, r"context must be a mapping of .* or a sequence of 2, got 7"),
        (iter([None, None]), TypeError, r"context must be a mapping of .*, got <list_iterator"),
        ([None], ValueError, r"a sequence of 2, one for each row of logits, got 1"),
        ([None] * 3, ValueError, r"a sequence of 2, one for each row of logits, got 3"),
        ([None, "story"], TypeError, r"a sequence of 2 of them, got 'story' among them"),
    ],
)
def test_a_context_that_is_none_is_refused(context, error, message):
    with pytest.raises(error, match=message):
        ContextPolicy(TABLE)(np.zeros((2, 3)), context=context)


@pytest.mark.parametrize("context", ["story", ["kind", "length"], [{"kind": "a", "length": 1}], 7])
def test_temperature_takes_one_mapping(context):
    with pytest.raises(TypeError, match=r"context must be a mapping of \['kind', 'length'\] to"):
        ContextPolicy(TABLE).temperature(context)


def test_scores_that_temperatures_depend_on_must_be_there_and_have_a_softmax():
    policy, row = ContextPolicy(BY_MARGIN), {"kind": "story"}
    with pytest.raises(ValueError, match=r"score_features .* call the policy with logits"):
        policy.temperature(row)
    for bad in (np.nan, np.inf):
        with pytest.raises(ValueError, match=r"row 1 of logits|logits.*row 1"):
            policy([[0.0, 1.0], [bad, 1.0]], context=row)
    with pytest.raises(ValueError, match=r"row 1 of logits|logits.*row 1"):
        policy([[0.0, 1.0], [-np.inf, -np.inf]], context=row)


def test_a_policy_needs_something_to_serve():
    with pytest.raises(NotFittedError):
        ContextPolicy(AdaptiveTemperatureScaling(context="kind"))
    for source in (0.7, "table.json", None, EntropyPolicy()):
        with pytest.raises(TypeError, match=r"source must be an AdaptiveTemperature.*prior=rules"):
            ContextPolicy(source)
    with pytest.raises(ValueError, match=r"table must be a dict made by to_table, got \{'story'"):
        ContextPolicy({"story": 2.0})


# With other policies


def test_products_add_log_temperatures():
    annealing = AnnealingPolicy(2.0, 1.0, 2)  # 2, 1.5, 1
    product = 0.5 * ContextPolicy(TABLE) * annealing
    row = {"kind": "medical", "length": 5}  # 2
    answers = [product([0.0, 1.0], step=step, context=row) for step in range(3)]
    np.testing.assert_allclose(answers, [2.0, 1.5, 1.0], rtol=1e-15)
    assert not product.reads_logits
    assert (product * ContextPolicy(BY_MARGIN)).reads_logits


def test_a_session_holds_the_voice_steady_while_the_context_changes():
    session = Session(ContextPolicy(TABLE), max_change=math.log(2), caps={"safety": 0.25})
    calm, wild = {"kind": "medical", "length": 0}, {"kind": "story", "length": 5}  # 1 and 8
    turns = [calm, wild, wild, wild, wild, calm]
    served = [session([0.0, 1.0], context=row) for row in turns]
    np.testing.assert_allclose(served, [1, 2, 4, 8, 8, 4])
    assert session([0.0, 1.0], context=wild, flags=["safety"]) == 0.25
    assert session.last.target == pytest.approx(8)
    assert not session.reads_logits


def test_a_processor_divides_scores_by_the_temperature_of_their_context():
    ids, scores = np.zeros((2, 4), dtype=int), np.array([[8.0, 0.0, -np.inf], [4.0, 2.0, 1.0]])
    rows = [{"kind": "story", "length": 0}, {"kind": "medical", "length": 5}]  # 4 and 2
    processor = TemperatureProcessor(ContextPolicy(TABLE), context=rows)
    expected = [[2, 0, -np.inf], [2, 1, 0.5]]
    np.testing.assert_allclose(processor(ids, scores), expected, rtol=1e-15)
    by_margin = TemperatureProcessor(ContextPolicy(BY_MARGIN), context={"kind": "medical"})
    # margins 8 and 2 in the clipped end: 4
    np.testing.assert_allclose(by_margin(ids, scores), scores / 4, rtol=1e-15)


# Learning


def test_fit_and_partial_fit_refine_what_is_served():
    policy = ContextPolicy(rules({"hot": 1.0, "cool": 1.0}))
    logits, y, kind = draw(8000, 1)
    X, first = frame(logits, kind=kind), np.arange(len(y)) < 4000
    assert policy.fit(X[first], y[first]) is policy
    for rows in (first, np.full(len(y), True)):
        for name in TRUE:
            of_kind = rows & (kind == name)
            expected = best_temperature(logits[of_kind], y[of_kind])
            assert policy.temperature({"kind": name}) == pytest.approx(expected, rel=0.02)
        policy.partial_fit(X[~first], y[~first])


def test_weights_reach_the_calibrator():
    logits, y, kind = draw(4000, 2)
    X, warm = frame(logits, kind="all"), (kind == "hot").astype(float)
    policy = ContextPolicy(rules({"all": 1.0})).fit(X, y, sample_weight=warm)
    expected = best_temperature(logits[kind == "hot"], y[kind == "hot"])
    assert policy.temperature({"kind": "all"}) == pytest.approx(expected, rel=0.03)


def test_answers_change_with_the_policy_not_behind_its_back():
    logits, y, kind = draw(600, 3)
    policy = ContextPolicy(rules({"hot": 1.0}))
    text, row = policy.to_json(), {"kind": "hot"}
    served = ContextPolicy.from_json(text)
    policy.model.fit(frame(logits, kind=kind), y)
    assert policy.temperature(row) == 1.0
    policy.partial_fit(frame(logits, kind=kind), y)
    assert policy.temperature(row) > 2
    assert served.temperature(row) == 1.0


def test_what_rules_served_moves_by_max_change_at_a_time():
    logits, y, kind = draw(3000, 4)  # hot is 4, cool is 0.6
    X = frame(logits, kind=kind)
    policy = ContextPolicy(rules({"hot": 1.0, "cool": 1.0}, max_change=0.1))
    for night, learn in enumerate((policy.fit, policy.partial_fit, policy.partial_fit), start=1):
        learn(X, y)
        moved = [math.log(policy.temperature({"kind": name})) for name in ("hot", "cool")]
        np.testing.assert_allclose(moved, [0.1 * night, -0.1 * night], rtol=1e-12)


def test_a_fit_that_fails_leaves_the_answers_as_they_were():
    policy = ContextPolicy(rules())
    logits, y, _ = draw(50, 5)
    for learn in (policy.fit, policy.partial_fit):
        with pytest.raises(ValueError, match="kind"):
            learn(frame(logits, sort="story"), y)
    assert policy.temperature({"kind": "story"}) == pytest.approx(2.0)


def test_a_table_does_not_learn():
    logits, y, kind = draw(50, 6)
    policy = ContextPolicy(TABLE)
    assert policy.model is None
    for learn in (policy.fit, policy.partial_fit):
        with pytest.raises(ValueError, match=r"made from a table and does not learn. Refine the"):
            learn(frame(logits, kind=kind, length=1.0), y)


class Meddler(dict):
    """A context that has the policy refitted while it is read."""

    meddle = None

    def __getitem__(self, column):
        if self.meddle is not None:
            meddle, self.meddle = self.meddle, None
            meddle()
        return super().__getitem__(column)


class MeddlingRows(list):
    """Contexts that have the policy refitted while they are counted."""

    meddle = None

    def __iter__(self):
        if self.meddle is not None:
            meddle, self.meddle = self.meddle, None
            meddle()
        return super().__iter__()


@pytest.mark.parametrize("kind_of_meddling", [Meddler, MeddlingRows])
@pytest.mark.parametrize("n_columns", [1, 2])
def test_a_refit_amid_an_answer_does_not_change_that_answer(n_columns, kind_of_meddling):
    logits, y, kind = draw(600, 7)
    X = frame(logits, kind=kind, site=np.where(y > 2, "a", "b"))
    model = AdaptiveTemperatureScaling(
        context=["kind", "site"][:n_columns], prior={"kind": {"hot": 4.0, "cool": 1.0}}
    )
    policy = ContextPolicy(model)
    row = Meddler(kind="hot", site="a")
    rows = MeddlingRows([row, {"kind": "cool", "site": "b"}, None])
    meddler = row if kind_of_meddling is Meddler else rows
    meddler.meddle = lambda: policy.fit(X.iloc[:, : 5 + n_columns], y)
    answers = policy(np.zeros((3, 5)), context=rows)
    np.testing.assert_allclose(answers, [4, 1, 2])  # the mean rule is the root of 4
    assert meddler.meddle is None
    assert policy.temperature({"kind": "hot", "site": "a"}) != pytest.approx(4.0, rel=1e-6)


def test_who_reads_while_it_learns_sees_the_table_before_or_after_and_no_mixture():
    policy = ContextPolicy(rules({"hot": 1.0, "cool": 1.0}))
    rows = [{"kind": kind} for kind in ("hot", "cool") for _ in range(100)]
    logits = np.zeros((len(rows), 2))
    seen, errors, done = [], [], threading.Event()
    progress = threading.Condition()

    def read():
        try:
            while not done.is_set():
                answer = policy(logits, context=rows)
                with progress:
                    seen.append(answer)
                    progress.notify_all()
        except Exception as error:
            errors.append(error)

    def wait_for_a_read():
        with progress:
            so_far = len(seen)
            assert progress.wait_for(lambda: len(seen) > so_far + 1 or errors, timeout=30)

    reader, tables = threading.Thread(target=read), [policy(logits, context=rows)]
    reader.start()
    try:
        wait_for_a_read()
        for seed in range(6):
            z, y, kind = draw(60, seed, {"hot": 1.0 + seed, "cool": 1 / (1.0 + seed)})
            policy.partial_fit(frame(z, kind=kind), y)
            tables.append(policy(logits, context=rows))
            wait_for_a_read()
    finally:
        done.set()
        reader.join()
    assert not errors
    known = {table.tobytes() for table in tables}
    assert len(known) == len(tables)
    assert {answer.tobytes() for answer in seen} == known


# As an object


def test_a_pickle_serves_the_same_and_goes_on_learning():
    policy, X, logits, asked = fitted(score_features=True)
    again = pickle.loads(pickle.dumps(policy))
    np.testing.assert_array_equal(again(logits, context=asked), policy(logits, context=asked))
    y = np.arange(len(X)) % 5
    for learner in (policy, again):
        learner.partial_fit(X, y)
    np.testing.assert_array_equal(again(logits, context=asked), policy(logits, context=asked))
    table = pickle.loads(pickle.dumps(ContextPolicy(TABLE)))
    assert table.temperature({"kind": "story", "length": 5}) == pytest.approx(8)


def test_the_representation_says_what_is_behind_the_table():
    assert repr(ContextPolicy(TABLE)) == "ContextPolicy(<table>)"
    assert repr(2.0 * ContextPolicy(TABLE)).startswith(repr(ConstantPolicy(2.0)))
    shown = repr(ContextPolicy(rules()))
    assert shown.startswith("ContextPolicy(AdaptiveTemperatureScaling(context='kind'")


def test_contexts_and_logits_are_not_written_to():
    logits = np.array([[0.0, 1.0], [2.0, -np.inf]])
    logits.flags.writeable = False
    rows = [{"kind": "story", "length": None}, None]
    for table in (TABLE, BY_MARGIN):
        source = json.loads(json.dumps(table))
        ContextPolicy(source)(logits, context=rows)
        assert source == table
    assert rows == [{"kind": "story", "length": None}, None]
