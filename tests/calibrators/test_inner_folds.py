"""Rows held out from the maps of a mixture: how they are dealt into folds."""

import numpy as np
import pytest

from skcalib import StructuredScaling
from skcalib.calibrators._inner_folds import deal


@pytest.mark.parametrize(("n", "n_classes", "n_folds"), [(10, 2, 10), (103, 3, 5), (997, 40, 10)])
def test_each_fold_has_its_share_of_rows_and_of_every_class(n, n_classes, n_folds):
    rng = np.random.default_rng(n)
    y = rng.choice(n_classes, n, p=rng.dirichlet(np.ones(n_classes)))
    folds = deal(y, rng.exponential(size=n), np.zeros(n), n_folds)
    sizes = np.bincount(folds, minlength=n_folds)
    assert sizes.max() - sizes.min() <= 1
    for k in range(n_classes):
        of_class = np.bincount(folds[y == k], minlength=n_folds)
        assert of_class.max() - of_class.min() <= 1


def test_folds_differ_in_their_easy_rows_as_random_ones_do():
    # Evened out, rows held out would tell of the others. Of 300 at random a mean has sd .058.
    rng = np.random.default_rng(0)
    y, loss = rng.integers(0, 3, 3000), rng.exponential(size=3000)
    folds = deal(y, loss, np.zeros(len(y)), 10)
    spread = np.std([loss[folds == k].mean() for k in range(10)], ddof=1)
    assert 0.03 < spread < 0.09  # chi, 9 degrees of freedom: 1 in 100 beyond either


def test_neither_the_order_of_rows_nor_that_of_classes_matters():
    rng = np.random.default_rng(1)
    y, loss = rng.integers(0, 7, 200), rng.exponential(size=200)
    folds = deal(y, loss, np.zeros(len(y)), 10)
    order = rng.permutation(200)
    none = np.zeros(200)
    assert np.array_equal(deal(y[order], loss[order], none, 10), folds[order])
    assert np.array_equal(deal(rng.permutation(7)[y], loss, none, 10), folds)


def test_rows_of_equal_loss_are_told_apart_by_their_gaps():
    rng = np.random.default_rng(2)
    y, loss, gap = rng.integers(0, 3, 200), np.zeros(200), rng.exponential(size=200)
    folds = deal(y, loss, gap, 10)
    order = rng.permutation(200)
    assert np.array_equal(deal(y[order], loss[order], gap[order], 10), folds[order])


@pytest.mark.parametrize("scale", [100, 3000])
def test_the_order_of_certain_rows_does_not_matter(scale):
    rng = np.random.default_rng(3)
    z = scale * rng.standard_normal((200, 5))
    y = (z + scale * rng.gumbel(size=z.shape)).argmax(axis=1)
    order, new = rng.permutation(200), scale * rng.standard_normal((20, 5))
    one, other = (StructuredScaling().fit(z[i], y[i]) for i in (np.arange(200), order))
    np.testing.assert_allclose(one.predict_proba(new), other.predict_proba(new), atol=1e-6)
