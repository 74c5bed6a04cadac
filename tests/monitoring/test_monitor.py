"""CalibrationMonitor: figures, the alarm and its promise, state."""

import json
import pickle
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
from scipy.special import log_softmax, softmax
from scipy.stats import binom
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.metrics import log_loss

from skcalib import TemperatureScaling
from skcalib.metrics import brier_score
from skcalib.monitoring import CalibrationMonitor

N_CLASSES = 5


def draw(n, T=1.0, seed=0, K=N_CLASSES, scale=3.0):
    """Labels drawn at temperature T, and the probabilities at temperature 1."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(size=(n, K)) * scale
    truth = softmax(logits / np.reshape(T, (-1, 1)), axis=1)
    y = (truth.cumsum(axis=1) > rng.random((n, 1))).argmax(axis=1)
    return y, softmax(logits, axis=1)


def drifting(n, at, T, seed=0):
    return draw(n, np.where(np.arange(n) < at, 1.0, T), seed)


def monitor(question="level", **kwargs):
    return CalibrationMonitor(question, labels=range(N_CLASSES), **kwargs)


# Figures


def test_figures_are_those_of_the_rows():
    y, p = draw(300)
    watching = monitor()
    watching.update(y, p)
    (row,) = watching.report().rows
    assert (row["regime"], row["n_rows"]) == ("all", 300)
    assert row["log_loss"] == pytest.approx(log_loss(y, p))
    assert row["brier"] == pytest.approx(brier_score(y, p))
    assert row["accuracy"] == pytest.approx((p.argmax(axis=1) == y).mean())
    assert row["confidence"] == pytest.approx(p.max(axis=1).mean())
    scaling = TemperatureScaling().fit(np.log(p), y)
    assert watching.temperature_ == pytest.approx(scaling.temperature_, rel=1e-3)
    interval = watching.temperature_interval_
    np.testing.assert_allclose(interval, scaling.temperature_interval_, rtol=0.02)


def test_figures_of_regimes_are_those_of_their_rows():
    y, p = draw(400, T=np.repeat([1.0, 2.0], 200))
    regime = np.repeat(["day", "night"], 200)
    watching = monitor()
    watching.update(y, p, regime=regime, latency=np.arange(400.0))
    frame = watching.report().to_frame()
    assert list(frame.index) == ["all", "day", "night"]
    assert frame.loc["night", "log loss"] == pytest.approx(log_loss(y[200:], p[200:]))
    assert frame["latency"].tolist() == pytest.approx([199.5, 99.5, 299.5])
    assert frame.loc["night", "95 % lower"] > 1.2


def test_the_window_forgets_rows_a_twentieth_of_it_at_a_time():
    y, p = draw(5000, T=np.repeat([3.0, 1.0], 2500))
    watching = monitor(window=1000)
    watching.update(y, p)
    (row,) = watching.report().rows
    assert 1000 <= row["n_rows"] <= 1050
    last = slice(5000 - row["n_rows"], None)
    assert row["log_loss"] == pytest.approx(log_loss(y[last], p[last], labels=range(N_CLASSES)))
    assert watching.n_rows_ == 5000


def test_weights_count_in_the_figures():
    y, p = draw(100)
    weight = np.random.default_rng(0).random(100)
    watching = monitor()
    watching.update(y, p, sample_weight=weight)
    (row,) = watching.report().rows
    assert row["log_loss"] == pytest.approx(log_loss(y, p, sample_weight=weight))
    scaling = TemperatureScaling().fit(np.log(p), y, sample_weight=weight)
    assert row["temperature"] == pytest.approx(scaling.temperature_, rel=1e-3)


def test_rows_whose_labels_are_late_show_the_expected_accuracy():
    y, p = draw(100, K=2)
    watching = CalibrationMonitor()
    assert watching.update(None, p, regime="a") == []
    assert watching.update(None, p[:, :1], regime="a", latency=2.0) == []
    (_, row) = watching.report().rows
    both = np.concatenate([p.max(axis=1)] * 2)
    assert row["n_unlabelled"] == 200
    assert row["expected_accuracy"] == pytest.approx(both.mean())
    assert row["accuracy"] is None
    assert row["scalars"] == {"latency": 2.0}
    watching.update(y, p)
    assert watching.n_rows_ == 100
    assert "expected accuracy" in str(watching.report())


def test_rows_without_labels_move_the_window_too():
    watching = monitor(window=100)
    for confidence in (0.9, 0.6):
        row = [confidence] + [(1 - confidence) / 4] * 4
        watching.update(None, np.tile(row, (1000, 1)))
    (row,) = watching.report().rows
    assert 100 <= row["n_unlabelled"] <= 105
    assert row["expected_accuracy"] == pytest.approx(0.6)
    assert np.isnan(watching.temperature_)
    records = watching.history()
    assert sum(record["n_unlabelled"] for record in records) == 2000
    assert len(records) > 10


def test_a_long_stream_keeps_few_blocks_and_every_row():
    y, p = draw(200_000, K=2)
    watching = CalibrationMonitor(window=20)
    for rows in np.split(np.arange(200_000), 40):
        watching.update(y[rows], p[rows])
    assert len(watching._history.old) <= 64
    records = watching.history()
    assert sum(record["n_rows"] for record in records) == 200_000
    assert [r["start"] for r in records[1:]] == [r["stop"] for r in records[:-1]]
    mean = sum(r["n_rows"] * r["log_loss"] for r in records) / 200_000
    assert mean == pytest.approx(log_loss(y, p), rel=1e-10)


def test_history_comes_in_pieces_of_the_window_or_of_what_is_asked():
    y, p = drifting(3000, 1000, 2.0)
    watching = monitor(window=500)
    watching.update(y, p)
    records = watching.history()
    assert [r["stop"] for r in records] == [500, 1000, 1500, 2000, 2500, 3000]
    assert records[1]["upper"] < 1.3 < records[2]["lower"]
    assert [r["stop"] for r in watching.history(every=1000)] == [1000, 2000, 3000]


def test_json_lines_hold_the_figures_and_the_alarms():
    y, p = drifting(2000, 500, 2.0)
    watching = monitor()
    watching.update(y, p, regime="a", latency=1.0)
    lines = [json.loads(line) for line in watching.to_json_lines()]
    assert [line["kind"] for line in lines] == ["figures"] * 4 + ["alarm"]
    assert lines[1]["regime"] == "a"
    assert lines[1]["scalars"] == {"latency": 1.0}
    assert lines[-1]["row"] == watching.alarms_[0].row


@pytest.mark.parametrize(("sharper", "bound"), [(20.0, 8), (0.02, 1 / 8)])
def test_a_temperature_beyond_the_range_has_an_open_interval(sharper, bound):
    rng = np.random.default_rng(0)
    logits = rng.normal(size=(3000, N_CLASSES)) * (0.5 if sharper > 1 else 50)
    truth = softmax(logits, axis=1)
    y = (truth.cumsum(axis=1) > rng.random((3000, 1))).argmax(axis=1)
    watching = monitor(window=3000)
    watching.update(y, softmax(logits * sharper, axis=1))
    assert watching.temperature_ == pytest.approx(bound)
    assert watching.temperature_interval_[int(sharper > 1)] == (np.inf if sharper > 1 else 0)
    assert watching.report().rows[0]["upper" if sharper > 1 else "lower"] == (
        None if sharper > 1 else 0
    )
    back = CalibrationMonitor.from_json(watching.to_json())
    assert back.alarms_ == watching.alarms_


def test_scalars_that_are_missing_are_left_out_of_their_mean():
    y, p = draw(4)
    watching = monitor()
    watching.update(y, p, satisfaction=[1, np.nan, 0, np.nan])
    assert watching.report().rows[0]["scalars"] == {"satisfaction": 0.5}


# The alarm


@pytest.mark.slow
@pytest.mark.parametrize("question", ["level", "change"])
def test_at_most_alpha_of_calibrated_streams_ever_alarm(question):
    n_streams, alarmed = 200, 0
    for seed in range(n_streams):
        y, p = draw(3000, seed=seed)
        alarmed += len(monitor(question, n_reference=500, random_state=seed).update(y, p))
    assert alarmed <= binom.ppf(0.999, n_streams, 0.05)


@pytest.mark.slow
def test_at_a_fitted_temperature_the_tolerance_keeps_the_promise():
    alarmed = 0
    for seed in range(100):
        y, p = draw(3500, T=1.5, seed=seed)
        scaling = TemperatureScaling().fit(np.log(p[:500]), y[:500])
        error = np.log(scaling.temperature_interval_[1] / scaling.temperature_) / 1.96
        served = scaling.predict_proba(np.log(p[500:]))
        alarmed += len(monitor(tolerance=2 * error).update(y[500:], served))
    assert alarmed <= binom.ppf(0.999, 100, 0.05)


@pytest.mark.parametrize(("question", "latest"), [("level", 300), ("change", 500)])
def test_drift_is_found_and_described(question, latest):
    y, p = drifting(4000, 2000, 1.8)
    (alarm,) = monitor(question).update(y, p)
    assert 2000 < alarm.row < 2000 + latest
    assert abs(alarm.change_at - 2000) < 150
    assert alarm.since <= alarm.row == alarm.since + alarm.n_since - 1
    assert alarm.interval[0] < 1.8 < alarm.interval[1] * 1.2
    assert alarm.evidence >= 20
    assert "refit" in alarm.advice
    assert f"Row {alarm.row:,}" in str(alarm)


def test_the_temperature_of_an_alarm_is_that_of_the_rows_it_names():
    y, p = drifting(4000, 2000, 1.5)
    (alarm,) = monitor().update(y, p)
    rows = slice(alarm.since - 1, alarm.row)
    scaling = TemperatureScaling().fit(np.log(p[rows]), y[rows], None)
    assert alarm.temperature == pytest.approx(scaling.temperature_, rel=1e-3)
    assert alarm.n_since == len(y[rows])


def test_a_class_that_comes_more_often_is_named():
    labels = np.tile(["a", "b", "c", "c", "c"], 80)
    (alarm,) = CalibrationMonitor().update(labels, np.full((400, 3), 1 / 3))
    assert alarm.name == "class 'c' more often than predicted"
    assert "PriorShift" in alarm.advice


def test_confident_errors_are_told_from_a_temperature():
    y, p = draw(4000)
    rng = np.random.default_rng(1)
    wrong = (p.max(axis=1) > 0.9) & (np.arange(4000) >= 2000) & (rng.random(4000) < 0.08)
    y[wrong] = (y[wrong] + 1) % N_CLASSES
    (alarm,) = monitor().update(y, p)
    assert alarm.row > 2000
    assert "labels unlike the predictions" in alarm.name
    assert "confident errors" in alarm.advice


def test_question_level_asks_of_the_first_row_too_and_change_does_not():
    y, p = draw(3000, T=1.6)
    assert monitor().update(y, p)
    assert not monitor("change").update(y, p)


def test_it_alarms_once_or_with_an_arl_again_and_again():
    y, p = draw(3000, T=2.0)
    assert len(monitor().update(y, p)) == 1
    again = monitor(arl=1000.0).update(y, p)
    assert len(again) > 5
    assert all(a.row < b.change_at <= b.row for a, b in pairwise(again))


@pytest.mark.slow
def test_rows_between_false_alarms_are_at_least_the_arl():
    y, p = draw(100_000, K=2)
    watching = CalibrationMonitor(arl=500.0)
    for rows in np.split(np.arange(100_000), 20):
        watching.update(y[rows], p[rows])
    assert len(watching.alarms_) <= 200 + 4 * 200**0.5


def test_a_stream_in_half_precision_is_put_into_the_bins_of_its_reference():
    rng = np.random.default_rng(0)
    confidence = rng.choice([0.7, 0.8, 0.9, 0.95], 3000)
    hit = rng.random(3000) < confidence
    for dtype in (np.float32, np.float16):
        watching = CalibrationMonitor("change", labels=[False, True])
        watching.update(hit[:1000], confidence[:1000])
        watching.update(hit[1000:], confidence[1000:].astype(dtype))
        same = CalibrationMonitor("change", labels=[False, True])
        same.update(hit, confidence)
        assert watching.log_evidence() == pytest.approx(same.log_evidence())


def test_one_large_batch_with_many_alarms_gives_those_of_small_ones():
    y, p = draw(20_000, T=3.0)
    whole, parts = monitor(arl=200.0), monitor(arl=200.0)
    raised = whole.update(y, p)
    small = [a for rows in np.split(np.arange(20_000), 20) for a in parts.update(y[rows], p[rows])]
    assert raised == small
    assert len(raised) > 200
    assert whole.alarms_ == raised[-100:]


def test_weight_zero_bets_nothing_and_light_rows_less():
    y, p = draw(500, T=2.5)
    logs = []
    for weight in (1.0, 0.3, 1e-12):
        watching = monitor()
        watching.update(y, p, sample_weight=np.full(500, weight))
        logs.append(watching.log_evidence())
    assert logs[0] > logs[1] > 1
    assert logs[2] == pytest.approx(0, abs=1e-9)


def test_probabilities_that_were_rounded_are_no_fault():
    y, p = draw(30_000, K=3)
    down = np.floor(p * 1000) / 1000
    down[:, 0] = np.maximum(down[:, 0], 1e-3)
    assert (down.sum(axis=1) < 1).mean() > 0.9
    watching = CalibrationMonitor(labels=range(3))
    for rows in np.split(np.arange(30_000), 30):
        assert watching.update(y[rows], down[rows]) == []


def test_weights_of_a_known_propensity_keep_the_promise():
    # Confident rows are looked at five times as often; what is seen does not depend on the label.
    alarmed = 0
    for seed in range(60):
        y, p = draw(3000, seed=seed, K=2)
        propensity = np.where(p.max(axis=1) > 0.8, 1.0, 0.2)
        seen = np.random.default_rng(seed).random(3000) < propensity
        weight = 0.2 / propensity[seen]
        alarmed += len(CalibrationMonitor().update(y[seen], p[seen], sample_weight=weight))
    assert alarmed <= binom.ppf(0.999, 60, 0.05)


def test_restart_forgets_the_evidence_and_keeps_the_figures():
    y, p = draw(2000, T=2.0)
    watching = monitor()
    watching.update(y[:1000], p[:1000])
    assert watching.has_alarmed_
    assert watching.restart().evidence_ == 1
    assert not watching.has_alarmed_
    assert watching.n_rows_ == 1000
    (second,) = watching.update(y[1000:], p[1000:])
    assert second.change_at > 1000
    assert len(watching.alarms_) == 2


def test_restart_asks_for_a_new_reference():
    y, p = draw(3000)
    watching = monitor("change", n_reference=1000)
    watching.update(y[:1500], p[:1500])
    watching.restart()
    watching.update(y[1500:2400], p[1500:2400])
    assert watching.evidence_ == 1
    watching.update(y[2400:], p[2400:])
    assert watching.evidence_ != 1


# State


@pytest.mark.parametrize("arl", [None, 800.0])
@pytest.mark.parametrize("question", ["level", "change"])
def test_batches_kills_and_restores_leave_the_same_bits(question, arl):
    y, p = drifting(2500, 1400, 1.7)
    regime = np.random.default_rng(1).choice(["a", "b"], 2500)
    latency = np.random.default_rng(2).random(2500)

    def run(cuts, through):
        watching = monitor(question, arl=arl, window=200)
        for rows in np.split(np.arange(2500), cuts):
            watching.update(y[rows], p[rows], regime=regime[rows], latency=latency[rows])
            watching = through(watching)
        return watching

    whole = run([], lambda m: m)
    assert whole.alarms_
    for cuts, through in (
        ([1, 2, 700, 1403, 1450], lambda m: m),
        (range(100, 2500, 100), lambda m: pickle.loads(pickle.dumps(m))),
        (range(70, 2500, 70), lambda m: CalibrationMonitor.from_json(m.to_json())),
    ):
        other = run(cuts, through)
        assert other.alarms_ == whole.alarms_
        assert other.log_evidence() == whole.log_evidence()
        assert other.to_json() == whole.to_json()


@pytest.mark.parametrize("labels", [["x", "y"], [False, True], [3, 7], [0.0, 1.0]])
def test_labels_and_regimes_of_any_plain_type_survive_json(labels):
    y, p = draw(60, K=2)
    watching = CalibrationMonitor(labels=labels)
    watching.update(np.array(labels)[y], p, regime=np.array([1, 2])[y])
    back = CalibrationMonitor.from_json(watching.to_json())
    assert back.classes_.tolist() == labels
    assert back.report().records == watching.report().records
    assert back.update(np.array(labels)[y], p) == watching.update(np.array(labels)[y], p)


def test_a_monitor_that_has_seen_nothing_survives_json():
    back = CalibrationMonitor.from_json(monitor(alpha=0.01).to_json())
    assert back.alpha == 0.01
    with pytest.raises(NotFittedError):
        back.report()


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda text: text[:-5], "must be what to_json wrote"),
        (lambda text: "[]", "must be what to_json of a CalibrationMonitor wrote"),
        (lambda text: text.replace('"version": 1', '"version": 2'), "format 2, this version"),
        (lambda text: text.replace('"history"', '"hist"').replace('"alarms"', '"al"'), "damaged"),
        (lambda text: text.replace('"alpha": 0.05', '"alpha": 5'), "damaged.*alpha"),
        (lambda text: text.replace('"n_rows": 60', '"n_rows": "x"'), "damaged"),
        (lambda text: text.replace('"stop": 60', '"stop": null'), "damaged"),
    ],
)
def test_json_that_is_damaged_is_refused(damage, message):
    y, p = draw(60)
    watching = monitor()
    watching.update(y, p)
    with pytest.raises(ValueError, match=message):
        CalibrationMonitor.from_json(damage(watching.to_json()))


def test_json_takes_no_random_state_object():
    with pytest.raises(TypeError, match="random_state"):
        monitor("change", random_state=np.random.RandomState(0)).to_json()


@pytest.mark.parametrize(
    ("question", "changed"),
    [
        ("change", {"n_reference": 50}),
        ("level", {"tolerance": 0.0, "arl": 500.0}),
        ("level", {"question": "change"}),
        ("level", {"window": 1000, "alpha": 0.5}),
    ],
)
def test_parameters_set_in_the_middle_wait_for_the_next_test(question, changed):
    y, p = drifting(900, 300, 1.4)
    plain, other = (monitor(question, n_reference=200, tolerance=0.1, window=100) for _ in "ab")
    for watching in (plain, other):
        watching.update(y[:250], p[:250])
    other.set_params(**changed)
    restored = CalibrationMonitor.from_json(other.to_json())
    for watching in (plain, other, restored):
        watching.update(y[250:], p[250:])
    assert other.log_evidence() == restored.log_evidence() == plain.log_evidence()
    assert other.alarms_ == restored.alarms_ == plain.alarms_
    assert restored.report().threshold == plain.report().threshold
    assert restored.report().rows == plain.report().rows
    assert restored.restart().get_params()[next(iter(changed))] == next(iter(changed.values()))


def test_without_a_seed_every_monitor_draws_its_own():
    y, p = draw(2000)
    runs = [monitor("change", random_state=None) for _ in range(2)]
    state = np.random.get_state()[1].copy()  # noqa: NPY002  the global one
    for watching in runs:
        watching.update(y, p)
    assert runs[0].log_evidence() != runs[1].log_evidence()
    np.testing.assert_array_equal(np.random.get_state()[1], state)  # noqa: NPY002


def test_a_random_state_object_is_not_used_up():
    y, p = draw(2000)
    seed = np.random.RandomState(3)
    runs = [monitor("change", random_state=seed) for _ in range(2)]
    for watching in runs:
        watching.update(y, p)
    assert runs[0].evidence_ == runs[1].evidence_


def test_clone_and_repr_are_those_of_an_estimator():
    watching = monitor(alpha=0.01)
    watching.update(*draw(10))
    fresh = clone(watching)
    assert fresh.alpha == 0.01
    assert not hasattr(fresh, "_history")
    assert "alpha=0.01" in repr(fresh)


# What is taken and what is refused


def test_pandas_binary_columns_and_float32_are_taken():
    y, p = draw(200, K=2)
    watching = CalibrationMonitor()
    watching.update(pd.Series(y, index=range(5, 205)), pd.DataFrame(p))
    watching.update(y, p[:, 1].astype(np.float32), regime=pd.Series(y))
    assert watching.n_rows_ == 400


def test_zero_probabilities_and_large_vocabularies_are_watched():
    rng = np.random.default_rng(0)
    logits = rng.normal(size=(60, 5000)) * 4
    logits[:, 4000:] = -np.inf
    p = np.exp(log_softmax(logits, axis=1)).astype(np.float32)
    y = p.argmax(axis=1)
    y[0] = 4999  # impossible
    watching = CalibrationMonitor(labels=range(5000))
    watching.update(y, p)
    assert np.isfinite(watching.log_evidence())
    assert np.isfinite(watching.report().rows[0]["log_loss"])


def test_arithmetic_raises_no_floating_point_error():
    y, p = draw(300, scale=100)
    with np.errstate(all="raise"):
        watching = monitor(tolerance=0.1)
        watching.update(y, p)
        watching.update(np.roll(y, 1), p)
        watching.report()


@pytest.mark.parametrize(
    ("kwargs", "message"),
    [
        ({"question": "drift"}, "question"),
        ({"alpha": 0}, "alpha"),
        ({"arl": 1}, "arl"),
        ({"window": 0}, "window"),
        ({"tolerance": -1}, "tolerance"),
        ({"n_reference": 0}, "n_reference"),
    ],
)
def test_parameters_are_checked_before_rows_are_taken(kwargs, message):
    watching = monitor().set_params(**kwargs)
    with pytest.raises(ValueError, match=f"'{message}' parameter"):
        watching.update(*draw(10))
    assert not hasattr(watching, "_history")


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"y_proba": np.full((10, N_CLASSES), 0.3)}, ValueError, "y_proba"),
        ({"y_proba": np.full((10, 3), 1 / 3)}, ValueError, "labels"),
        ({"y_true": np.arange(10)}, ValueError, "y_true"),
        ({"y_true": np.arange(3)}, ValueError, "inconsistent"),
        ({"sample_weight": np.full(10, 2.0)}, ValueError, r"in \[0, 1\].*got 2 in row 0"),
        ({"regime": np.arange(3)}, ValueError, r"regime must have shape \(10,\)"),
        ({"latency": np.ones(3)}, ValueError, "latency must be one number, or 10"),
        ({"latency": "fast"}, TypeError, "latency must hold numbers"),
        ({"latency": np.inf}, ValueError, "latency must be NaN where there is none"),
    ],
)
def test_wrong_rows_are_refused_and_none_is_taken_in(change, error, message):
    y, p = draw(10)
    watching = monitor()
    watching.update(y, p, latency=1.0)
    before = watching.to_json()
    with pytest.raises(error, match=message):
        watching.update(**({"y_true": y, "y_proba": p} | change))
    assert watching.to_json() == before


def test_change_takes_no_weights():
    y, p = draw(10)
    with pytest.raises(ValueError, match="takes no sample_weight"):
        monitor("change").update(y, p, sample_weight=np.ones(10))
    with pytest.raises(ValueError, match="pass it with the labels"):
        monitor().update(None, p, sample_weight=np.ones(10))


@pytest.mark.parametrize(
    ("regime", "message"),
    [
        (float("nan"), "finite number, got nan"),
        (np.array(["2024-01-01"], dtype="datetime64[D]")[0], "must be a string"),
        ("all", "name it else"),
        ([None] * 10, "a group for every row"),
    ],
)
def test_regimes_that_cannot_be_kept_are_refused(regime, message):
    with pytest.raises(ValueError, match=message):
        monitor().update(*draw(10), regime=regime)


def test_an_empty_word_is_a_regime_like_others():
    y, p = draw(30)
    watching = monitor()
    for rows, regime in ((slice(0, 10), ""), (slice(10, 20), "a"), (slice(20, 30), 3)):
        watching.update(y[rows], p[rows], regime=regime)
    assert [row["regime"] for row in watching.report().rows] == ["all", 3, "", "a"]


@pytest.mark.parametrize("name", ["sample_weights", "groups", "proba", "pos_label", "y"])
def test_options_of_other_functions_are_no_scalars(name):
    with pytest.raises(TypeError, match=f"no argument '{name}': "):
        monitor().update(*draw(10), **{name: np.ones(10)})


def test_a_batch_without_rows_and_one_without_weight_change_nothing_but_the_count():
    y, p = draw(10)
    watching = monitor()
    assert watching.update([], np.empty((0, N_CLASSES))) == []
    assert not hasattr(watching, "_history")
    watching.update(y, p, sample_weight=np.zeros(10))
    assert (watching.n_rows_, watching.evidence_) == (10, pytest.approx(1))
    assert np.isnan(watching.temperature_)


def test_unlabelled_rows_of_other_classes_are_refused():
    y, p = draw(10)
    watching = monitor()
    watching.update(y, p)
    with pytest.raises(ValueError, match="each of 5 classes, got 2"):
        watching.update(None, [0.1, 0.2])


@pytest.mark.parametrize("what", ["report", "history", "restart", "log_evidence"])
def test_before_the_first_row_there_is_nothing_to_say(what):
    with pytest.raises(NotFittedError, match="call update first"):
        getattr(monitor(), what)()
