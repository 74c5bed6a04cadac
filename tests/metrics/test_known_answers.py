"""Values that independent libraries agree on; `tests/data` has their sources and definitions."""

import json
import re
from pathlib import Path

import numpy as np
import pytest

from skcalib import TemperatureScaling
from skcalib._kernels._smooth import smooth_error_at
from skcalib.metrics import (
    brier_score,
    calibration_error,
    calibration_slope_intercept,
    score_decomposition,
    smooth_calibration_error,
    spiegelhalter_z,
)
from skcalib.metrics._log_loss import log_loss

DATA = Path(__file__).parents[1] / "data"
KNOWN = json.loads((DATA / "known_answers.json").read_text(encoding="utf-8"))
INPUTS = KNOWN["inputs"]
CASES = {case["id"]: case for case in KNOWN["cases"] + KNOWN["convention_conflicts"]}

# One pattern per definition of the glossary: the kind of prediction, and further settings.
CALIBRATION_ERRORS = {
    r"pos_ece_(?P<norm>l1|l2|max)_(?P<n_bins>\d+)(?P<weighted>_weighted)?": {"kind": "positive"},
    r"conf_ece_(?P<norm>l1|l2|max)_(?P<n_bins>\d+)": {"kind": "confidence"},
    r"top_ece_(?P<norm>l1|l2|max)_(?P<n_bins>\d+)": {"kind": "confidence"},
    r"classwise_ece_(?P<norm>l1|l2)_(?P<n_bins>\d+)": {"kind": "class", "average": "mean"},
    r"pos_l2_debiased_(?P<n_bins>\d+)": {"kind": "positive", "norm": 2, "debias": True},
    r"pos_eqmass_l1_(?P<n_bins>10)": {"kind": "positive", "strategy": "quantile"},
    r"pm_ece-(?P<n_bins>\d+)": {"kind": "confidence"},
    r"pm_rmsce-(?P<n_bins>\d+)": {"kind": "confidence", "norm": 2},
    r"pm_mce-(?P<n_bins>\d+)": {"kind": "confidence", "norm": "max"},
}
NORMS = {"l1": 1, "l2": 2, "max": "max"}
SCORES = {
    "brier": brier_score,
    "pm_brier": brier_score,
    "logloss": log_loss,
    "pm_logloss": log_loss,
}

# Of torchmetrics alone, which gives p = 1 a bin of its own.
NOT_OURS = {"Q/pos_ece_l2_10"}


def settings_of(case_id):
    """Keyword arguments for `calibration_error`, or None if it is about something else."""
    for pattern, settings in CALIBRATION_ERRORS.items():
        found = re.fullmatch(pattern, case_id.split("/")[1])
        if found:
            groups = found.groupdict()
            settings = settings | {"n_bins": int(groups["n_bins"])}
            if "norm" in groups:
                settings["norm"] = NORMS[groups["norm"]]
            if groups.get("weighted"):
                settings["sample_weight"] = INPUTS[case_id[0]]["w"]
            return settings
    return None


def labels_and_probabilities(case_id):
    given = INPUTS[case_id.split("/")[0]]
    return given["y"], given["P"] if "P" in given else given["p"]


@pytest.mark.parametrize("case", [c for c in CASES if settings_of(c) and c not in NOT_OURS])
def test_calibration_error_is_the_known_one(case):
    error = calibration_error(*labels_and_probabilities(case), **settings_of(case))
    assert error == pytest.approx(CASES[case]["expected"], abs=CASES[case]["tol"])


@pytest.mark.parametrize("case", [c for c in CASES if c.split("/")[1] in SCORES])
def test_score_is_the_known_one(case):
    score = SCORES[case.split("/")[1]](*labels_and_probabilities(case))
    assert score == pytest.approx(CASES[case]["expected"], abs=CASES[case]["tol"])


def test_the_patterns_find_every_case():
    about_calibration = {c for c in CASES if re.search(r"/\w+_ece_|/pm_|_debiased_", c)}
    elsewhere = {c for c in about_calibration if re.search("netcal|probcal|eqmass", c)}
    found = {c for c in CASES if settings_of(c) or c.split("/")[1] in SCORES}
    assert about_calibration - elsewhere <= found
    assert len(found) == 47


@pytest.mark.parametrize(
    ("n_bins", "expected"),
    [(10, 0.0809265), (15, 0.0904295)],
)
def test_equal_mass_bins_are_cut_at_observed_quantiles(n_bins, expected):
    # From the glossary; of 200 rows in 10 bins every rule for the edges says the same.
    error = calibration_error(
        *labels_and_probabilities("D/"), kind="positive", strategy="quantile", n_bins=n_bins
    )
    assert error == pytest.approx(expected, abs=2e-6)


def test_probabilities_on_the_edges_follow_our_rule():
    # The glossary's value under (a, b]; libraries that bin otherwise have .35833 and .275 at l1.
    y, p = labels_and_probabilities("Q/")
    assert calibration_error(y, p, kind="positive", norm=2, n_bins=10) == pytest.approx(
        0.4782781617, abs=1e-9
    )
    assert calibration_error(y, p, kind="positive", norm="max", n_bins=10) == pytest.approx(0.8)


def test_the_murphy_example_is_reliability_minus_resolution_plus_uncertainty():
    # With a bin for each of its three probabilities the squared error is the reliability.
    y, p = labels_and_probabilities("M/")
    reliability = calibration_error(y, p, kind="positive", norm=2, n_bins=10) ** 2
    assert reliability == pytest.approx(0.004)
    assert brier_score(y, p) == pytest.approx(0.004 - 0.072 + 0.24)
    assert np.mean(y) == 0.4


def inverse_temperature(case_id):
    if case_id.startswith("T2"):
        fitted = TemperatureScaling(alpha=0).fit(INPUTS["T2"]["z"], INPUTS["T2"]["y"])
    else:
        y, p = labels_and_probabilities(case_id)
        model = TemperatureScaling(response_method="predict_proba", alpha=0, smoothing=0)
        fitted = model.fit(np.array(p), y)
    return 1 / fitted.temperature_


def part_of_score(case_id):
    score, part, weighted = re.fullmatch(r"D/corp_([a-z]+)_([a-z]+)(_weighted)?", case_id).groups()
    parts = score_decomposition(
        *labels_and_probabilities(case_id),
        score={"brier": "brier", "logloss": "log_loss"}[score],
        kind="positive",
        sample_weight=INPUTS["D"]["w"] if weighted else None,
    )
    names = {"mcb": "miscalibration", "dsc": "discrimination", "unc": "uncertainty"}
    return getattr(parts, names.get(part, part))


def part_by_bins(case_id):
    # Each of the three probabilities has a bin of its own.
    parts = score_decomposition(*labels_and_probabilities(case_id), method="murphy", n_bins=10)
    names = {"rel": "miscalibration", "res": "discrimination", "unc": "uncertainty"}
    return getattr(parts, names[case_id[-3:]])


def smoothed_at_scale(case_id):
    y, p = (np.array(values) for values in labels_and_probabilities(case_id))
    return smooth_error_at(p, y == 1, None, float(case_id.rsplit("_")[-1]))


def smooth(case_id):
    kind = "positive" if case_id.startswith("D") else "confidence"
    return smooth_calibration_error(*labels_and_probabilities(case_id), kind=kind)


def of_field(function, field):
    return lambda case_id: getattr(function(*labels_and_probabilities(case_id)), field)


OTHER_METRICS = {
    r"\w+/inv_temperature": inverse_temperature,
    r"D/corp_.*": part_of_score,
    r"M/murphy_.*": part_by_bins,
    r"D/smece_sigma_.*": smoothed_at_scale,
    r"D/smece|E/top_smece": smooth,
    r"D/spiegelhalter_z": of_field(spiegelhalter_z, "z"),
    r"D/cal_slope": of_field(calibration_slope_intercept, "slope"),
    r"D/cal_intercept": of_field(calibration_slope_intercept, "intercept"),
}

# What skcalib has no function for.
NOT_SHIPPED = r"D/(hl_stat|hl_p|ks|kuiper|va_.*)"


def other_metric(case_id):
    return next((f for pattern, f in OTHER_METRICS.items() if re.fullmatch(pattern, case_id)), None)


@pytest.mark.parametrize("case", [c for c in CASES if other_metric(c)])
def test_metric_is_the_known_one(case):
    assert other_metric(case)(case) == pytest.approx(
        CASES[case]["expected"], abs=CASES[case]["tol"]
    )


def test_every_value_of_two_sources_is_met_or_of_something_skcalib_lacks():
    agreed = {c for c, case in CASES.items() if case["n_sources"] >= 2}
    met = {c for c in CASES if settings_of(c) or c.split("/")[1] in SCORES or other_metric(c)}
    assert {c for c in agreed - met if not re.fullmatch(NOT_SHIPPED, c)} == set()
    assert len(agreed & met) == 56
