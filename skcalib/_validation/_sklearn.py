"""Private scikit-learn names: the package's only door to them, each with its reason.

- `BaseComposition`: parameters of named estimators, `member__parameter`, as in every ensemble.
- `BaseScorer`: `check_scoring` and metadata routing pass by a scorer that is not one.
- `Interval`, `Options`, `StrOptions`, `HasMethods`, `validate_parameter_constraints`: tables of
  constraints with scikit-learn's own messages; its public decorator serves functions alone.
- `split_rows`: cuts precomputed kernels by row and column, as every scikit-learn fold loop does.
- `params_of_rows`: cuts row-wise fit parameters to a fold.
- `feature_names_of`, `check_feature_names`: column names, without setting them before `fit` is
  through as `validate_data` does.
- `take_columns`, `take_rows`: of arrays, sparse matrices and every kind of data frame alike.
- `count_rows`: of lists, data frames and sparse matrices alike.
- `_SigmoidCalibration`: Platt's map, imported when it is fitted.
"""

from typing import Any

from sklearn.base import BaseEstimator
from sklearn.metrics._scorer import _BaseScorer as BaseScorer
from sklearn.utils import _safe_indexing as take_columns, _safe_indexing as take_rows
from sklearn.utils._param_validation import (
    HasMethods,
    Interval,
    Options,
    StrOptions,
    validate_parameter_constraints,
)
from sklearn.utils.metaestimators import (
    _BaseComposition as BaseComposition,
    _safe_split as split_rows,
)
from sklearn.utils.validation import (
    _check_feature_names as check_feature_names,
    _check_method_params as params_of_rows,
    _get_feature_names as feature_names_of,
    _num_samples as count_rows,
)


def platt_calibration() -> Any:
    """scikit-learn's sigmoid map, unfitted. Imported late: its module brings in half of sklearn."""
    from sklearn.calibration import _SigmoidCalibration

    return _SigmoidCalibration()


def check_parameters(estimator: BaseEstimator) -> None:
    """Hold an estimator's parameters against its table of constraints."""
    validate_parameter_constraints(
        estimator._parameter_constraints,
        estimator.get_params(deep=False),
        caller_name=type(estimator).__name__,
    )


def check_options(constraints: dict[str, list[Any]], caller: str, **given: Any) -> None:
    """Hold a function's arguments against a table of constraints."""
    validate_parameter_constraints(constraints, given, caller_name=caller)
