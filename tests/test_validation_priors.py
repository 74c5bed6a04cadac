"""Class frequencies, by position or by label, become an array in the order of the classes."""

from collections import Counter
from types import MappingProxyType

import numpy as np
import pandas as pd
import pytest

from skcalib._validation import check_prior, refuse_excluded_classes

LETTERS = np.array(["a", "b", "c"])
FREQUENCIES = {"c": 0.5, "a": 0.3, "b": 0.2}


@pytest.mark.parametrize(
    "prior",
    [
        [0.3, 0.2, 0.5],
        (0.3, 0.2, 0.5),
        np.array([0.3, 0.2, 0.5]),
        FREQUENCIES,
        MappingProxyType(FREQUENCIES),
        {np.str_(label): np.float64(value) for label, value in FREQUENCIES.items()},
        pd.Series(FREQUENCIES),
        pd.Series([0.2, 0.3, 0.5], index=pd.CategoricalIndex(["b", "a", "c"])),
        pd.Series(list("cab")).repeat([5, 3, 2]).value_counts(normalize=True),
    ],
)
@pytest.mark.parametrize("classes", [LETTERS, LETTERS.astype(object)])
def test_frequencies_follow_the_classes(prior, classes):
    np.testing.assert_allclose(check_prior(prior, "prior", classes), [0.3, 0.2, 0.5], rtol=1e-15)


@pytest.mark.parametrize(
    "classes", [np.array([False, True]), np.array([0, 1]), np.array([0.0, 1.0])]
)
@pytest.mark.parametrize("prior", [{1: 0.75, 0: 0.25}, pd.Series({True: 0.75, False: 0.25})])
def test_labels_that_are_equal_are_the_same(prior, classes):
    assert check_prior(prior, "prior", classes).tolist() == [0.25, 0.75]


def test_no_prior_is_none():
    assert check_prior(None, "prior", LETTERS) is None


def test_what_is_passed_is_not_changed():
    prior = np.array([0.25, 0.75 + 1e-8])
    found = check_prior(prior, "prior")
    np.testing.assert_allclose(found.sum(), 1, rtol=1e-15)
    assert prior.tolist() == [0.25, 0.75 + 1e-8]


@pytest.mark.parametrize(
    ("prior", "message"),
    [
        ({"a": 0.5, "b": 0.5}, r"each of the classes \['a', 'b', 'c'\] once, got no freq.* 'c'\. "),
        ({"a": 0.4, "b": 0.3, "z": 0.3}, r"got no frequency for 'c'; unknown 'z'\. For"),
        ({"a": 0.4, "b": 0.3, "c": 0.2, "z": 0.1}, r"got unknown 'z'\. For"),
        ({0: 0.4, 1: 0.3, 2: 0.3}, r"no frequency for 'a', 'b', 'c'; unknown 0, 1, 2\. For"),
        ({np.int64(7): 0.4, "b": 0.3, "c": 0.3}, r"no frequency for 'a'; unknown 7\. For"),
        (pd.Series([0.3, 0.2, 0.5]), r"unknown 0, 1, 2\. For .*in the order .* pass an array"),
        (pd.Series([0.3, 0.2, 0.4, 0.1], index=list("abcc")), r"got more than one for 'c'\. For"),
        ([0.5, 0.5], r"one frequency per class, in the order \['a', 'b', 'c'\]: .* 3, got 2"),
        ([0.5, -0.5, 1], r"not negative, got -0\.5 at position 1, label 'b'"),
        ({"b": -0.5, "a": 0.5, "c": 1}, r"not negative, got -0\.5 at position 1, label 'b'"),
    ],
)
def test_what_does_not_fit_the_classes_is_named(prior, message):
    with pytest.raises(ValueError, match=f"^target_prior.*{message}"):
        check_prior(prior, "target_prior", LETTERS)


def test_a_long_list_of_labels_is_cut_short():
    with pytest.raises(ValueError, match=r"got no frequency for 1, 2, 3, 4, 5 and 19994 more\. "):
        check_prior({0: 1.0}, "prior", np.arange(20_000))


@pytest.mark.parametrize(
    ("prior", "error", "message"),
    [
        (Counter("aab"), ValueError, "must sum to one.*a sum of 3"),
        ({}, ValueError, "must sum to one.*a sum of 0"),
        ({"a": "1"}, TypeError, "must be an array of numbers"),
        ({"a": [0.5, 0.5]}, ValueError, r"must have shape \(n_classes,\), got \(1, 2\)"),
        ({"a": None, "b": 1.0}, TypeError, "must be an array of numbers"),
        (pd.DataFrame({"a": [0.5, 0.5]}), ValueError, r"shape \(n_classes,\), got \(2, 1\)"),
        ({"b": np.nan, "a": 1.0}, ValueError, "got nan at position 0, label 'b'"),
        (pd.Series({"b": 1.0, "a": np.inf}), ValueError, "got inf at position 1, label 'a'"),
        ([0.5, 0.5, 5e-324], ValueError, r"0 or at least 4\.5e-308, got 5e-324 at position 2\. P"),
        ({"a": 1.0, "b": 1e-310}, ValueError, r"at least 4\.5e-308, got 1e-310 .*label 'b'\. Pass"),
    ],
)
def test_frequencies_that_cannot_be_right_need_no_classes_to_be_refused(prior, error, message):
    with pytest.raises(error, match=f"^prior .*{message}"):
        check_prior(prior, "prior")


def test_a_target_that_the_source_excludes_is_named():
    source, target = np.array([0.5, 0.5, 0.0]), np.array([0.5, 0.25, 0.25])
    message = r"got 0 at position 2, label 'c', whose target is 0\.25\. Give"
    with pytest.raises(ValueError, match=message):
        refuse_excluded_classes(source, target, LETTERS)
    refuse_excluded_classes(target, source, LETTERS)
