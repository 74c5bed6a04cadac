"""The recursion of evidence, against its definition in plain numbers."""

from itertools import product

import numpy as np
import pytest

from skcalib._kernels._evidence import (
    MOST_LOG_EVALUE,
    after,
    capped,
    follow,
    log_value,
    no_evidence,
    shares_of,
)


def in_plain_numbers(evalues, shares, at_once):
    """M after each row by the recursion as it is written, without logarithms."""
    won, path = np.zeros(len(shares)), []
    for t, e in enumerate(evalues, start=1):
        if at_once is None:
            stake, waiting = 1.0, 0.0
        else:
            stake = (1 - at_once) * 1000 / ((t + 999) * (t + 1000)) + at_once * (t == 1)
            waiting = (1 - at_once) * 1000 / (t + 1000)
        won = (won + stake) * e
        path.append(shares @ won + waiting)
    return np.array(path)


@pytest.mark.parametrize("at_once", [0.0, 0.25, None])
def test_the_path_is_that_of_the_recursion_in_plain_numbers(at_once):
    rng = np.random.default_rng(0)
    evalues = rng.lognormal(size=(200, 5))
    shares = rng.dirichlet(np.ones(5))
    path = follow(no_evidence(5), np.log(evalues), np.log(shares), at_once)
    expected = in_plain_numbers(evalues, shares, at_once)
    np.testing.assert_allclose(np.exp(path.log_value), expected, rtol=1e-11)


@pytest.mark.parametrize(("at_once", "mean"), [(0.0, 1.0), (0.25, 1.0), (None, 7.0)])
def test_the_evidence_of_fair_bets_is_one_on_average_and_with_a_stake_a_row_grows_by_one(
    at_once, mean
):
    # Each row wins half of the stake or loses it, with equal chances: all 2^7 futures.
    futures = [np.log(np.array(f))[:, None] for f in product((0.5, 1.5), repeat=7)]
    last = [follow(no_evidence(1), f, np.zeros(1), at_once).log_value[-1] for f in futures]
    assert np.mean(np.exp(last)) == pytest.approx(mean, rel=1e-12)


@pytest.mark.parametrize("at_once", [0.0, 0.25, None])
def test_batches_of_any_size_leave_the_same_bits(at_once):
    rng = np.random.default_rng(1)
    logs, share = rng.normal(size=(300, 4)), np.log(np.full(4, 0.25))
    whole = follow(no_evidence(4), logs, share, at_once)
    state, values = no_evidence(4), []
    for rows in np.split(logs, [1, 2, 50, 51, 200]):
        path = follow(state, rows, share, at_once)
        values.append(path.log_value)
        state = after(path, len(rows))
        assert log_value(state, share, at_once) == path.log_value[-1]
    assert np.array_equal(np.concatenate(values), whole.log_value)
    for mine, theirs in zip(state, after(whole, 300), strict=True):
        assert np.array_equal(mine, theirs)


def test_the_change_is_put_where_the_growth_was_least():
    # Three losing rows, then two winning ones: the change is after row 3.
    logs = np.log([[0.5], [0.5], [0.5], [2.0], [2.0]])
    state = after(follow(no_evidence(1), logs, np.zeros(1), 0.25), 5)
    assert state.lowest_at.tolist() == [3]
    np.testing.assert_allclose(state.lowest, [3 * np.log(0.5)])
    winning = after(follow(no_evidence(1), -logs[:3], np.zeros(1), 0.25), 3)
    assert winning.lowest_at.tolist() == [0]


def test_before_the_first_row_the_evidence_is_one():
    assert log_value(no_evidence(3), np.log(np.full(3, 1 / 3)), 0.25) == 0
    assert log_value(no_evidence(3), np.log(np.full(3, 1 / 3)), None) == -np.inf


def test_shares_are_what_was_won_in_parts():
    logs = np.log([[1.0, 2.0]])
    state = after(follow(no_evidence(2), logs, np.log([0.5, 0.5]), 0.25), 1)
    np.testing.assert_allclose(shares_of(state, np.log([0.5, 0.5])), [1 / 3, 2 / 3])


def test_the_evidence_of_a_million_rows_overflows_nothing():
    logs = np.full((100_000, 1), 3.9)
    path = follow(no_evidence(1), logs, np.zeros(1), 0.25)
    assert path.log_value[-1] == pytest.approx(3.9e5, rel=1e-3)
    path = follow(no_evidence(1), -logs, np.zeros(1), 0.25)
    assert path.log_value[-1] == pytest.approx(np.log(0.75 * 1000 / 101_000), rel=1e-3)


def test_e_values_are_cut_and_those_of_light_rows_moved_towards_one():
    logs = np.log([[3.0, 1e9, 0.2]])
    np.testing.assert_array_equal(capped(logs, None), [[np.log(3), MOST_LOG_EVALUE, np.log(0.2)]])
    half = np.exp(capped(logs, np.array([0.5])))
    np.testing.assert_allclose(half, [[2.0, (1 + np.exp(4)) / 2, 0.6]])
    np.testing.assert_array_equal(capped(logs, np.zeros(1)), [[0, 0, 0]])
