import math

import numpy as np
import pytest

from skcalib.decoding import guard


def outcome(*args, **kwargs):
    guarded = guard(*args, **kwargs)
    return guarded.temperature, guarded.active


def test_without_guards_the_target_is_served():
    assert outcome(0.7) == (0.7, ())
    assert outcome(0.7, previous=0.1) == (0.7, ())
    assert outcome(0.0, previous=0.1) == (0.0, ())


def test_bounds_clip():
    assert outcome(3.0, bounds=(0.5, 2.0)) == (2.0, ("bounds",))
    assert outcome(0.0, bounds=(0.5, 2.0)) == (0.5, ("bounds",))
    assert outcome(np.inf, bounds=(0.5, 2.0)) == (2.0, ("bounds",))
    assert outcome(2.0, bounds=(0.5, 2.0)) == (2.0, ())


def test_smoothing_is_a_weighted_geometric_mean():
    t, active = outcome(8.0, previous=1.0, smoothing=2 / 3)
    assert t == pytest.approx(2.0, rel=1e-15)  # 1^(2/3) * 8^(1/3)
    assert active == ("smoothing",)
    assert outcome(0.7, previous=0.7, smoothing=0.9) == (0.7, ())


def test_call_after_call_smoothing_is_an_exponential_moving_average_of_log_t():
    targets, smoothing, served = [1.0, 4.0, 0.5, 0.5], 0.6, None
    for target in targets:
        served = guard(target, previous=served, smoothing=smoothing).temperature
    logs = [math.log(t) for t in targets]
    # .6^3 of the first, then .4 * .6^2, .4 * .6, .4
    mean = 0.216 * logs[0] + 0.144 * logs[1] + 0.24 * logs[2] + 0.4 * logs[3]
    assert served == pytest.approx(math.exp(mean), rel=1e-14)


def test_the_change_is_limited_both_ways():
    t, active = outcome(5.0, previous=1.0, max_change=math.log(2))
    assert t == pytest.approx(2.0, rel=1e-15)
    assert active == ("max_change",)
    t, active = outcome(0.1, previous=1.0, max_change=math.log(2))
    assert t == pytest.approx(0.5, rel=1e-15)
    assert outcome(1.9, previous=1.0, max_change=math.log(2)) == (1.9, ())
    with np.errstate(all="raise"):
        assert outcome(1e300, previous=1e-300, max_change=5000) == (1e300, ())


def test_guards_act_one_after_the_other():
    # bounds 100 -> 16; smoothing to sqrt(16 * 1) = 4; limited to twice 1; capped
    t, active = outcome(
        100.0, previous=1.0, bounds=(0.1, 16.0), smoothing=0.5, max_change=math.log(2), cap=1.5
    )
    assert (t, active) == (1.5, ("bounds", "smoothing", "max_change", "cap"))


def test_bounds_hold_even_if_the_previous_temperature_was_outside():
    # limited to half of 8, which is above 1
    t, active = outcome(0.9, previous=8.0, bounds=(0.5, 1.0), max_change=math.log(2))
    assert (t, active) == (1.0, ("max_change", "bounds"))


def test_a_cap_is_immediate_and_above_a_lower_bound():
    assert outcome(2.0, previous=2.0, max_change=0.01, smoothing=0.99, cap=0.3) == (0.3, ("cap",))
    assert outcome(0.2, previous=0.2, cap=0.3) == (0.2, ())
    assert outcome(0.8, bounds=(0.5, 1.0), cap=0.0) == (0.0, ("cap",))


@pytest.mark.parametrize(("previous", "target"), [(1.0, 0.0), (0.0, 1.0), (np.inf, 1.0)])
def test_to_and_from_greedy_is_a_switch(previous, target):
    with np.errstate(all="raise"):
        assert outcome(target, previous=previous, max_change=0.01, smoothing=0.9) == (target, ())


def test_rows_are_guarded_on_their_own():
    guarded = guard(
        [4.0, 0.0, 1.0], previous=[1.0, 1.0, 8.0], bounds=(0.0, 3.0), max_change=math.log(2)
    )
    np.testing.assert_allclose(guarded.temperature, [2.0, 0.0, 3.0])
    np.testing.assert_array_equal(guarded.target, [4.0, 0.0, 1.0])
    assert guarded.active == (("bounds", "max_change"), (), ("max_change", "bounds"))
    assert guarded.temperature.dtype == np.float64


def test_inputs_are_not_written_to_nor_handed_back():
    target = np.array([1.0, 2.0])
    target.flags.writeable = False
    guarded = guard(target, previous=target)
    assert not np.shares_memory(guarded.temperature, target)
    guarded.temperature[0] = 5
    assert guarded.target[0] == 1


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"smoothing": 1.0}, ValueError, r"'smoothing' parameter of guard must be"),
        ({"max_change": 0}, ValueError, r"'max_change' parameter of guard must be"),
        ({"cap": -1}, ValueError, r"'cap' parameter of guard must be"),
        ({"bounds": (2, 1)}, ValueError, r"bounds must be 0 <= lowest <= highest .* \(2, 1\)"),
        ({"bounds": (-1, 1)}, ValueError, r"bounds must be 0 <= lowest <= highest"),
        ({"bounds": (0, 0)}, ValueError, r"For greedy decoding use cap=0"),
        ({"bounds": (np.nan, 1)}, ValueError, r"bounds must be 0 <= lowest <= highest"),
        ({"bounds": 2.0}, TypeError, r"bounds must be two numbers, \(lowest, highest\), got 2.0"),
        ({"bounds": None}, TypeError, r"bounds must be two numbers"),
        ({"previous": -1.0}, ValueError, r"previous must be positive, or 0"),
        ({"previous": [1.0, 2.0]}, ValueError, r"previous must be a number, or one per row"),
    ],
)
def test_an_argument_out_of_its_range_is_refused(options, error, message):
    with pytest.raises(error, match=message):
        guard(1.0, **options)


@pytest.mark.parametrize("target", [-1.0, np.nan, [1.0, -2.0]])
def test_a_target_that_is_no_temperature_is_refused(target):
    with pytest.raises(ValueError, match="target must be positive, or 0 for greedy decoding"):
        guard(target)
