from itertools import product

import numpy as np
import pytest

from skcalib._kernels._cascade import Cascade, best_thresholds, stages


def draw(n_rows, n_stages, seed, levels=None):
    """Confidences, with ties if there are few levels; losses that fall from stage to stage."""
    rng = np.random.default_rng(seed)
    confidence = rng.random((n_rows, n_stages))
    if levels:
        confidence = np.ceil(confidence * levels) / levels
    loss = rng.exponential(1 / (1 + np.arange(n_stages)), (n_rows, n_stages)) / confidence
    cost = np.cumsum(rng.uniform(1, 5, n_stages))
    weight = rng.random(n_rows)
    return Cascade(confidence, loss, cost, weight / weight.sum())


def every_choice(cascade):
    """Loss and cost of each combination of thresholds, row by row."""
    free = [[np.inf, *np.unique(cascade.confidence[:, j])] for j in range(len(cascade.cost) - 1)]
    for thresholds in product(*free):
        loss = cost = 0.0
        for row, weight in enumerate(cascade.weight):
            stage = 0
            while stage < len(thresholds) and cascade.confidence[row, stage] < thresholds[stage]:
                stage += 1
            loss += weight * cascade.loss[row, stage]
            cost += weight * cascade.cost[stage]
        yield loss, cost


def test_a_row_stops_where_it_is_sure_enough():
    confidence = np.array([[0.9, 0.1, 0.1], [0.8, 0.7, 0.1], [0.8, 0.6, 0.1]])
    np.testing.assert_array_equal(stages(confidence, np.array([0.9, 0.7])), [0, 1, 2])
    np.testing.assert_array_equal(stages(confidence, np.array([np.inf, 0.0])), [1, 1, 1])


@pytest.mark.parametrize("levels", [None, 4])
@pytest.mark.parametrize("seed", range(10))
def test_of_two_stages_the_best_threshold_is_found(seed, levels):
    cascade = draw(15, 2, seed, levels)
    choices = list(every_choice(cascade))
    for budget in np.linspace(cascade.cost[0], cascade.cost[1], 7):
        found = cascade.mean(stages(cascade.confidence, best_thresholds(cascade, budget)))
        allowed = [loss for loss, cost in choices if cost <= budget + 1e-9]
        assert found[0] == pytest.approx(min(allowed), abs=1e-12)
        assert found[1] <= budget + 1e-9


@pytest.mark.parametrize("seed", range(8))
def test_of_three_stages_little_is_missed(seed):
    cascade = draw(14, 3, seed)
    choices = list(every_choice(cascade))
    worst = cascade.weight @ cascade.loss[:, 0]
    for budget in np.linspace(cascade.cost[0], cascade.cost[2], 5):
        loss, cost = cascade.mean(stages(cascade.confidence, best_thresholds(cascade, budget)))
        best = min(loss for loss, cost in choices if cost <= budget + 1e-9)
        assert cost <= budget + 1e-9
        # Of what the best thresholds gain on the first stage alone.
        assert worst - loss >= 0.9 * (worst - best) - 1e-12


def test_a_budget_that_is_met_exactly_is_met():
    # Half of the rows go on: 1 + 10 / 2, though thirds and tenths round.
    confidence = np.array([[0.9, 1.0], [0.6, 1.0]])
    loss = np.array([[0.1, 0.1], [1.0, 0.1]])
    cascade = Cascade(confidence, loss, np.array([0.1, 0.1 + 0.2]), np.array([0.5, 0.5]))
    np.testing.assert_array_equal(best_thresholds(cascade, 0.2), [0.9])


def test_what_gains_nothing_is_not_bought():
    confidence, loss = np.array([[0.9, 0.9], [0.6, 0.9]]), np.ones((2, 2))
    cascade = Cascade(confidence, loss, np.array([1.0, 2.0]), np.array([0.5, 0.5]))
    np.testing.assert_array_equal(best_thresholds(cascade, 2.0), [0.0])


def test_a_first_stage_that_is_never_right_passes_all_on():
    confidence, loss = np.array([[0.9, 0.9], [0.6, 0.9]]), np.array([[2.0, 1.0], [2.0, 1.0]])
    cascade = Cascade(confidence, loss, np.array([1.0, 2.0]), np.array([0.5, 0.5]))
    np.testing.assert_array_equal(best_thresholds(cascade, 2.0), [np.inf])


@pytest.mark.parametrize("first", [10.0, 1e3, 1e5, 1e7])
@pytest.mark.parametrize("n_on", [1, 7, 100, 299])
def test_a_budget_that_is_met_exactly_is_met_beside_a_dear_first_stage(first, n_on):
    # n_on of 300 rows go on, at a cost of 1 each.
    confidence = np.ones((300, 2))
    confidence[:n_on, 0] = 0.6
    confidence[n_on:, 0] = 0.9
    loss = np.where(confidence < 0.9, 1.0, 0.1)
    cascade = Cascade(confidence, loss, np.array([first, first + 1]), np.full(300, 1 / 300))
    np.testing.assert_array_equal(best_thresholds(cascade, first + n_on / 300), [0.9])
    # And with a row less to pay for none can go, as they are equally sure.
    np.testing.assert_array_equal(best_thresholds(cascade, first + (n_on - 1) / 300), [0.0])


@pytest.mark.parametrize("unit", [1e-300, 1e-3, 1e3, 1e300])
def test_the_unit_of_costs_changes_no_threshold(unit):
    cascade = draw(200, 3, 0)
    budget = cascade.cost.mean()
    other = cascade._replace(cost=cascade.cost * unit)
    with np.errstate(all="raise"):
        found = best_thresholds(other, budget * unit)
    np.testing.assert_array_equal(found, best_thresholds(cascade, budget))


def test_a_single_stage_has_no_threshold():
    assert best_thresholds(draw(5, 1, 0), 10.0).shape == (0,)


def test_each_stage_is_sorted_once(monkeypatch):
    sorted_columns = []
    argsort = np.argsort

    def counting(values, **options):
        sorted_columns.append(len(values))
        return argsort(values, **options)

    monkeypatch.setattr(np, "argsort", counting)
    best_thresholds(draw(50, 4, 0), 8.0)
    assert sorted_columns == [50, 50, 50]
