"""What users pass in becomes canonical arrays, or an error that says what is wrong with it."""

from numbers import Integral

import numpy as np
import pandas as pd
import pytest

from skcalib._validation import (
    Interval,
    StrOptions,
    check_column_classes,
    check_labels,
    check_log_probabilities,
    check_numeric,
    check_options,
    check_predictions,
    check_probabilities,
    check_same_length,
    check_weights,
    encode,
    look_like_probabilities,
    refuse_bad_logits,
)

# Labels.


@pytest.mark.parametrize(
    ("y", "kind"),
    [
        ([1, 2, 1], "i"),
        ((True, False, True), "b"),
        (["a", "b", "a"], "U"),
        (np.array(["a", "bb", "a"], dtype=object), "O"),
        ([1.0, 2.0, 1.0], "f"),
        (pd.Series([3, 4, 3], index=[7, 7, 1]), "i"),
        (pd.Series(["a", "b", "a"], dtype="category"), "OU"),
        (pd.Series([1, 2, 1], dtype="Int64"), "if"),
    ],
)
def test_labels_of_every_type_become_a_flat_array(y, kind):
    labels = check_labels(y)
    assert labels.shape == (3,)
    assert labels.dtype.kind in kind
    assert labels[0] == labels[2] != labels[1]


def test_labels_are_encoded_by_their_place_among_the_sorted_classes():
    index = encode(np.array(["c", "a", "b", "c"]), np.array(["a", "b", "c"]))
    np.testing.assert_array_equal(index, [2, 0, 1, 2])
    index = encode(np.array([300_000, 100_000]), np.array([100_000, 200_000, 300_000]))
    np.testing.assert_array_equal(index, [2, 0])


@pytest.mark.parametrize(
    ("y", "classes", "label"),
    [
        (["a", "z"], ["a", "b"], "'z'"),
        ([1, 7], [1, 2], "7"),
        ([1, 0], [1, 2], "0"),
        (["1", "2"], [1, 2], "'1'"),
        ([1, 2], ["1", "2"], "1"),
        ([1.5, 2.0], [1, 2], r"1\.5"),
        ([True, False], ["no", "yes"], "True"),
    ],
)
def test_a_label_that_is_no_class_is_named_with_its_row(y, classes, label):
    y = np.array(y)
    row = 0 if label in ("'1'", "1", r"1\.5", "True") else 1
    with pytest.raises(ValueError, match=f"y has the label {label} in row {row}, which is not"):
        encode(y, np.array(classes))


def test_a_long_list_of_classes_is_shortened():
    with pytest.raises(ValueError, match=r"\[ *0, +1, +2, \.\.\., 997, 998, 999\]"):
        encode(np.array([1000]), np.arange(1000))


# Columns.


@pytest.mark.parametrize(
    ("classes", "n_columns", "y", "expected"),
    [
        (None, 3, ["c", "a", "b"], ["a", "b", "c"]),
        (None, 3, [5, 9, 7], [5, 7, 9]),
        (None, 4, [0, 2, 1], [0, 1, 2, 3]),
        (None, 4, [0, 0], [0, 1, 2, 3]),
        (None, 2, [1, 0], [0, 1]),
        (["b", "a"], 2, ["a"], ["b", "a"]),
        ([1, 0], 2, [0, 1], [1, 0]),
    ],
)
def test_columns_are_classes_as_named_as_seen_or_as_counted(classes, n_columns, y, expected):
    columns = check_column_classes(classes, n_columns, np.array(y))
    np.testing.assert_array_equal(columns, expected)


@pytest.mark.parametrize(
    ("n_columns", "y"), [(4, [1, 2, 3]), (2, [1, 1]), (4, [0, 1, 5]), (2, [-1]), (3, ["a", "b"])]
)
def test_columns_that_cannot_be_told_are_asked_for(n_columns, y):
    with pytest.raises(ValueError, match=r"labels=\[\.\.\.\] with one label per column"):
        check_column_classes(None, n_columns, np.array(y), name="labels", columns_of="y_proba")


# Weights.


@pytest.mark.parametrize(
    "given", [[1, 2, 0], (1.0, 2.0, 0.0), np.array([1, 2, 0], dtype=np.int8), pd.Series([1, 2, 0])]
)
def test_weights_become_float64(given):
    weight = check_weights(given, 3)
    assert weight.dtype == np.float64
    np.testing.assert_array_equal(weight, [1, 2, 0])


def test_no_weights_stay_none_and_one_number_is_for_all():
    assert check_weights(None, 3) is None
    np.testing.assert_array_equal(check_weights(2, 3), [2, 2, 2])
    np.testing.assert_array_equal(check_weights([True, False], 2), [1, 0])
    with pytest.raises(TypeError, match=r"sample_weight must hold numbers, got .* <U1"):
        check_weights("3", 3)


# Numbers.


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, ">f8"])
def test_floats_are_not_copied(dtype):
    values = np.ones((2, 3), dtype=dtype)
    assert check_numeric(values, "X") is values


@pytest.mark.parametrize(
    "given",
    [[[1, 2], [3, 4]], np.array([[1, 2], [3, 4]], dtype=object), pd.DataFrame([[1, 2], [3, 4]])],
)
def test_other_numbers_become_float64(given):
    values = check_numeric(given, "X")
    assert values.dtype == np.float64
    np.testing.assert_array_equal(values, [[1, 2], [3, 4]])


@pytest.mark.parametrize("given", [[["1", "2"]], [[b"1", b"2"]], np.array([[1, 2]], dtype="m8[s]")])
def test_what_only_looks_like_numbers_is_refused(given):
    with pytest.raises((TypeError, ValueError), match="X must hold numbers"):
        check_numeric(given, "X")


def test_lengths_that_differ_are_named():
    with pytest.raises(ValueError, match=r"y_proba and y_true have inconsistent .*: 3 and 2"):
        check_same_length(3, np.ones(2), "y_proba", "y_true")


# Probabilities.


def test_probabilities_are_returned_as_they_are():
    proba = np.array([[0.25, 0.75], [0.0, 1.0]])
    assert check_probabilities(proba, "p") is proba


@pytest.mark.parametrize(
    ("dtype", "off", "right"),
    [
        (np.float64, 4e-3, True),
        (np.float64, 6e-3, False),
        (np.float32, 4e-3, True),
        (np.float32, 6e-3, False),
        (np.float16, 8e-3, True),
        (">f2", 8e-3, True),
        (np.float16, 2e-2, False),
    ],
)
def test_sums_may_be_off_by_rounding_alone(dtype, off, right):
    proba = np.array([[0.5, 0.5], [0.5, 0.5 - off]], dtype=dtype)
    if right:
        check_probabilities(proba, "p")
    else:
        with pytest.raises(ValueError, match=r"p must hold .* sum to one .* in row 1"):
            check_probabilities(proba, "p")


def test_three_decimals_are_probabilities():
    proba = np.random.default_rng(0).dirichlet(np.ones(4), 500).round(3)
    check_probabilities(proba, "p")


def test_the_first_row_outside_is_named_in_a_large_array():
    proba = np.full((100_000, 5), 0.2)
    proba[70_001, 3], proba[70_001, 1] = 0.4, 0.0
    check_probabilities(proba, "p")
    proba[70_001, 3] = np.nan
    with pytest.raises(ValueError, match="got nan in row 70001, column 3"):
        check_probabilities(proba, "p")


@pytest.mark.parametrize("n_classes", [2, 1000, 50_257])
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_log_probabilities_may_be_off_by_rounding_alone(dtype, n_classes):
    uniform = np.full((2, n_classes), -np.log(n_classes)).astype(dtype)
    check_log_probabilities(uniform, "p")


def test_log_probabilities_may_be_minus_infinity():
    check_log_probabilities(np.array([[0.0, -np.inf], [np.log(0.5), np.log(0.5)]]), "p")


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([[0.5, 0.5], [0.0, 1.0]], True),
        ([[0.5, 0.5], [0.0, 1.1]], False),
        ([[0.5, 0.4]], False),
        ([[np.nan, 1.0]], False),
        ([[-np.inf, 1.0]], False),
    ],
)
def test_what_looks_like_probabilities(values, expected):
    assert look_like_probabilities(np.array(values)) is expected


# Logits.


@pytest.mark.parametrize(
    ("row", "fault"),
    [
        ([np.nan, 1.0], "row 1 holds NaN"),
        ([np.inf, 1.0], r"row 1 holds \+inf"),
        ([-np.inf, -np.inf], r"row 1 has every class masked \(-inf\)"),
        ([-np.inf, 1.0], r"row 1 has its own label's class masked \(-inf\)"),
    ],
)
def test_a_row_without_a_softmax_is_named(row, fault):
    logits = np.array([[1.0, 2.0], row])
    with pytest.raises(ValueError, match=f"X must hold finite logits.*{fault}"):
        refuse_bad_logits(logits, "X", np.array([0, 0]))
    refuse_bad_logits(logits, "X", np.array([0, 0]), np.array([1.0, 0.0]))


def test_a_mask_elsewhere_is_no_fault():
    refuse_bad_logits(np.array([[1.0, -np.inf], [-np.inf, 0.0]]), "X", np.array([0, 1]))


# Predictions.


@pytest.mark.parametrize(
    ("y", "classes"),
    [([0, 1, 1], [0, 1]), ([-1, 1, 1], [-1, 1]), ([False, True, True], [False, True])],
)
def test_one_column_of_probabilities_is_of_the_greater_label(y, classes):
    found = check_predictions(y, [0.25, 0.5, 1.0])
    np.testing.assert_array_equal(found.classes, classes)
    np.testing.assert_array_equal(found.proba, [[0.75, 0.25], [0.5, 0.5], [0, 1]])
    np.testing.assert_array_equal(found.y_index, [0, 1, 1])
    assert found.positive == 1
    assert found.weight is None


def test_a_positive_label_may_be_the_lesser():
    found = check_predictions(["yes", "no"], [0.25, 0.5], pos_label="no")
    np.testing.assert_array_equal(found.classes, ["no", "yes"])
    np.testing.assert_array_equal(found.proba, [[0.25, 0.75], [0.5, 0.5]])
    assert found.positive == 0


def test_labels_that_lie_between_columns_are_refused():
    for y, p, message in (
        (["yes", "no"], [0.25, 0.5], "Pass pos_label"),
        ([1, 2, 3], [0.1, 0.2, 0.3], "y_proba has one column, for two classes"),
        ([0, 1], [0.1, 1.2], "between 0 and 1, got 1.2 in row 1"),
        ([0, 1], [[0.5, 0.5], [0.5, 0.4]], "sum to one"),
        ([0, 3], [[0.5, 0.3, 0.2]] * 2, "labels=.* with one label per column"),
    ):
        with pytest.raises(ValueError, match=message):
            check_predictions(y, p)


@pytest.mark.parametrize(
    ("labels", "columns", "shown"),
    [
        (["a", "b", "c"], ["c", "a", "b"], r"\['c', 'a', 'b'\]"),
        ([0, 1, 2], [2, 1, 0], r"\[2, 1, 0\]"),
        ([False, True], [True, False], r"\[True, False\]"),
        ([-1.0, 1.0], [1.0, -1.0], r"\[1\.0, -1\.0\]"),
    ],
)
def test_a_frame_whose_columns_are_the_labels_in_another_order_is_refused(labels, columns, shown):
    proba = pd.DataFrame(np.full((len(labels), len(labels)), 1 / len(labels)), columns=columns)
    for given in ({}, {"labels": labels}):
        with pytest.raises(ValueError, match=f"y_proba has the columns {shown}, but .*sorted"):
            check_predictions(labels, proba, **given)
    if len(labels) == 2:
        with pytest.raises(ValueError, match=f"y_proba has the columns {shown}"):
            check_predictions(labels, proba, pos_label=labels[0])


def test_what_the_message_says_to_pass_is_taken():
    proba = pd.DataFrame([[0.5, 0.2, 0.3], [0.1, 0.8, 0.1]], columns=["c", "a", "b"])
    with pytest.raises(ValueError, match=r"Pass y_proba\[\['a', 'b', 'c'\]\]\."):
        check_predictions(["a", "c"], proba, labels=["a", "b", "c"])
    found = check_predictions(["a", "c"], proba[["a", "b", "c"]], labels=["a", "b", "c"])
    np.testing.assert_array_equal(found.proba, [[0.2, 0.3, 0.5], [0.8, 0.1, 0.1]])


@pytest.mark.parametrize(
    "columns",
    [
        ["a", "b", "c"],
        pd.Index(["a", "b", "c"], dtype="category"),
        [0, 1, 2],
        [2, 1, 0],
        ["C", "B", "A"],
        ["p_c", "p_b", "p_a"],
        ["c", "b", "other"],
        ["c", "c", "b"],
        pd.MultiIndex.from_tuples([("p", "c"), ("p", "b"), ("p", "a")]),
    ],
    ids=str,
)
def test_a_frame_with_sorted_labels_or_other_names_is_read_as_it_is(columns):
    values = [[0.5, 0.2, 0.3], [0.1, 0.8, 0.1], [0.25, 0.25, 0.5]]
    frame = pd.DataFrame(values, columns=columns)
    found = check_predictions(["c", "a", "b"], frame)
    np.testing.assert_array_equal(found.proba, values)
    np.testing.assert_array_equal(found.classes, ["a", "b", "c"])


def test_a_frame_of_one_column_is_of_the_positive_class_whatever_its_name():
    for frame in (pd.DataFrame({"no": [0.25, 0.5]}), pd.DataFrame({"p": [0.25, 0.5]})):
        found = check_predictions([0, 1], frame)
        np.testing.assert_array_equal(found.proba, [[0.75, 0.25], [0.5, 0.5]])


# Options.


def test_options_out_of_range_are_named_with_their_function():
    constraints = {
        "n_bins": [Interval(Integral, 1, None, closed="left")],
        "norm": [StrOptions({"l1"})],
    }
    check_options(constraints, "f", n_bins=3, norm="l1")
    with pytest.raises(ValueError, match="The 'n_bins' parameter of f must be an int in"):
        check_options(constraints, "f", n_bins=0, norm="l1")
    with pytest.raises(ValueError, match="The 'norm' parameter of f must be a str among"):
        check_options(constraints, "f", n_bins=3, norm="l2")
