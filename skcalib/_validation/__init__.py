"""What users pass in, turned into canonical arrays, or refused.

Every check names the parameter, what was expected, what came, and the way out where there is
one. `_sklearn` is the package's only door to private scikit-learn names.
"""

from skcalib._validation._arrays import (
    check_confidence,
    check_numeric,
    check_same_length,
    check_weights,
)
from skcalib._validation._columns import (
    ColumnName,
    check_categories,
    check_columns,
    check_numbers,
    column_places,
    column_values,
    holds_categories,
    is_missing,
    plain_or_none,
    plain_value,
    without_columns,
)
from skcalib._validation._labels import (
    check_column_classes,
    check_groups,
    check_labels,
    check_named_groups,
    column_of,
    encode,
)
from skcalib._validation._predictions import Predictions, check_predictions
from skcalib._validation._priors import check_prior, refuse_excluded_classes
from skcalib._validation._scores import (
    check_log_probabilities,
    check_probabilities,
    check_unit_interval,
    look_like_probabilities,
    refuse_bad_logits,
)
from skcalib._validation._sklearn import (
    BaseComposition,
    BaseScorer,
    HasMethods,
    Interval,
    Options,
    StrOptions,
    check_feature_names,
    check_options,
    check_parameters,
    count_rows,
    feature_names_of,
    params_of_rows,
    platt_calibration,
    split_rows,
    take_rows,
)

__all__ = [
    "BaseComposition",
    "BaseScorer",
    "ColumnName",
    "HasMethods",
    "Interval",
    "Options",
    "Predictions",
    "StrOptions",
    "check_categories",
    "check_column_classes",
    "check_columns",
    "check_confidence",
    "check_feature_names",
    "check_groups",
    "check_labels",
    "check_log_probabilities",
    "check_named_groups",
    "check_numbers",
    "check_numeric",
    "check_options",
    "check_parameters",
    "check_predictions",
    "check_prior",
    "check_probabilities",
    "check_same_length",
    "check_unit_interval",
    "check_weights",
    "column_of",
    "column_places",
    "column_values",
    "count_rows",
    "encode",
    "feature_names_of",
    "holds_categories",
    "is_missing",
    "look_like_probabilities",
    "params_of_rows",
    "plain_or_none",
    "plain_value",
    "platt_calibration",
    "refuse_bad_logits",
    "refuse_excluded_classes",
    "split_rows",
    "take_rows",
    "without_columns",
]
