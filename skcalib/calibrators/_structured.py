"""Structured scaling: linear maps of several strengths, pooled by what held-out rows say."""

from __future__ import annotations

from numbers import Integral, Real
from typing import Any, ClassVar, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.frozen import FrozenEstimator

from skcalib._kernels._coefficients import Penalties
from skcalib._kernels._linear_map import QUICK
from skcalib._kernels._mixture import fit_mixture
from skcalib._validation import Interval, StrOptions
from skcalib.calibrators._base import BaseCalibrator
from skcalib.calibrators._inner_folds import (
    FEWEST_ROWS,
    cost,
    held_out_densities,
    mean_losses,
    mixture_densities,
    number_of_folds,
)
from skcalib.calibrators._mixture_map import MixtureMap
from skcalib.calibrators._path_fitter import MOST_COEFFICIENTS, PathFitter
from skcalib.calibrators._rows import CalibrationRows
from skcalib.calibrators._threads import one_blas_thread

# The prior of the temperature that maps start from, as in TemperatureScaling.
_ALPHA = 1.0

# The strong map's penalty is the same however many rows there are. The weaker ones' are so many
# divided by the rows, and never above the second number.
_STRONG = 3.0
_WEAKER = (200.0, 1.0), (30.0, 0.2)

# Penalties at strength t: of the shared features, and of the matrix beside t^2 K (K - 1).
_SHARED = 3.0
_MATRIX = 10.0

# Rows each member begins with to its name, when held-out rows are counted: uniform, the model's
# own probabilities, the maps.
_UNIFORM_ROWS, _OWN_ROWS, _MAP_ROWS = 0.1, 0.2, (0.5, 0.1, 0.05)
_ORDER_KEEPING_ROWS = 0.1, 0.5  # of the temperature, and of the map of shared features


class _Plan(NamedTuple):
    """What is fitted, and what is not, and why."""

    penalties: tuple[Penalties, ...]  # of each map
    strengths: tuple[float, ...]  # likewise
    pseudo_counts: NDArray  # of each member of the pool
    n_folds: int
    left_out: tuple[str, ...]


class StructuredScaling(BaseCalibrator):
    """Calibrate a classifier by a shrunken linear map of its logits, pooled over strengths.

    The strongest general calibrator here, by log loss (see the user guide). From the temperature it
    starts at, it stretches the logits of each class, adds to a class's logit in proportion to the
    probabilities of the others, and bends all of them alike: one convex model, whose penalties
    shrink it to the temperature where rows are few. It is fitted at up to three strengths. What is
    served is a mixture of these maps, of the model's own probabilities and of the uniform
    distribution, with shares fitted to rows held out from the maps. Where there is nothing to gain
    the model's own probabilities or the temperature get the largest share.

    The predicted class can change, and does where another is more often right; with
    ``accuracy_preserving=True`` it never does.

    Parameters
    ----------
    estimator : estimator, default=None
        The classifier to calibrate, or None if X is its scores.
        See :class:`TemperatureScaling` for this and the other parameters without a note.
    response_method : {"auto", "decision_function", "predict_proba", "predict_log_proba"}, \
            default="auto"
        What the scores are.
    classes : array-like of shape (n_classes,), default=None
        Without an estimator: the label of each column of X.
    smoothing : "auto" or float, default="auto"
        For probabilities, the share of the uniform distribution mixed in before the logarithm.
    accuracy_preserving : bool, default=False
        Whether the order of classes within a row must stay. Only what all classes share is
        fitted then: temperature, bends and the mixture.
    unseen_groups : bool, default=False
        Whether rows at deployment come from groups, such as speakers or hospitals, that are not
        among those of `fit`. Then whole groups are held out when shares are fitted, and `fit`
        needs `groups`; around an estimator it also needs a `cv` that keeps them whole, such as
        :class:`~sklearn.model_selection.StratifiedGroupKFold`. It is never inferred: without it
        `groups` only reach the splitter.
    max_cost : float, default=1.5e8
        Largest ``n_samples * n_classes**2`` at which the coefficients between pairs of classes
        are fitted, of at most 1024 classes; beyond it each class has a bias in their place, and
        there are two strengths.
    cv : int, cross-validation generator or iterable, default=None
        How rows are held out from the estimator; None means 5 stratified folds. Shares of the
        mixture have folds of their own: 10, 5 or 3 by cost, the same in every run.
    ensemble : bool or "auto", default=False
        Whether to average a pair of estimator and map for each fold.
    n_jobs : int, default=None
        Folds fitted in parallel.

    Attributes
    ----------
    weights_ : ndarray of shape (n_members,)
        Shares of the mixture: of uniform, of the model's own probabilities, and of each map in
        the order of `strengths_`. These attributes, `calibrator_` and `estimator_` exist unless
        an ensemble was fitted.
    strengths_ : ndarray of shape (n_maps,)
        How strongly each map is shrunk to the temperature: what the penalties of its coefficients
        are multiplied by, that of the matrix by the square; that of the features which all classes
        share is the same in all. inf for the temperature alone, a member with
        ``accuracy_preserving=True``.
    cv_loss_ : float
        Mean log loss of the mixture on rows held out from its maps, in nats; a little low, since
        the shares are fitted to the same rows. NaN with fewer than 10 rows, or
        with ``unseen_groups=True`` and one group.
    member_cv_losses_ : ndarray of shape (n_members,)
        The same of each member alone, in the order of `weights_`.
    left_out_ : tuple of str
        What was not fitted and why; empty if all of the above was.
    temperature_ : float
        The temperature T that the maps start from, at ``(1 - e) softmax(z / T) + e / K`` with
        ``e = 1 / (n + 1)``. It is fitted in this form: a few labels that the model rules out raise
        it less than that of :class:`TemperatureScaling`.
    smoothing_ : float
        The share of the uniform distribution mixed into probabilities; 0 for logits.
    classes_ : ndarray of shape (n_classes,)
        Sorted labels.
    estimator_ : estimator
        The wrapped estimator, fitted on all rows. Not with ``estimator=None``.
    calibrator_ : object
        The fitted map from scores to probabilities.
    calibrated_classifiers_ : list
        The pairs of an ensemble, instead of the above.
    response_method_ : str
        The method whose output is read.
    column_order_ : ndarray of shape (n_classes,)
        Without an estimator: the column of X that each of `classes_` stands in.
    n_features_in_ : int
        Number of features, if the estimator says it; of columns of X without an estimator.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of the columns, if they all are strings.

    See Also
    --------
    TemperatureScaling : One number, with an interval; the start of every map here.
    EnsembleTemperatureScaling : The mixture without the maps: order kept, cheap to serve.
    MatrixScaling : The linear map alone, at one strength.

    Notes
    -----
    A weight counts as repetitions of its row but for the folds, which keep a row whole. Copies of a
    row are rows of their own: held out while others of them are not, they give weak maps too large
    a share. Pass weights in their place. The order of rows does not matter.

    References
    ----------
    .. [1] Berta, Holzmueller, Jordan, Bach, "Structured Matrix Scaling for Multi-Class
       Calibration", 2025.
    .. [2] Wolpert, "Stacked generalization", Neural Networks 5, 1992.

    Examples
    --------
    A language model's multiple-choice answers:

    >>> from skcalib import StructuredScaling, TemperatureScaling
    >>> from skcalib.datasets import load_logits
    >>> from sklearn.metrics import log_loss
    >>> data = load_logits("mcq_smollm2_a")
    >>> cal, test = data.calibration, ~data.calibration
    >>> for scaling in TemperatureScaling(), StructuredScaling():
    ...     scaling = scaling.fit(data.logits[cal], data.target[cal])
    ...     proba = scaling.predict_proba(data.logits[test])
    ...     print(round(log_loss(data.target[test], proba), 2))
    1.01
    0.96
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        **BaseCalibrator._parameter_constraints,
        "smoothing": [StrOptions({"auto"}), Interval(Real, 0, 1, closed="left")],
        "accuracy_preserving": ["boolean"],
        "unseen_groups": ["boolean"],
        "max_cost": [Interval(Real, 0, None, closed="both")],  # inf included
    }

    def __init__(
        self,
        estimator: Any = None,
        *,
        response_method: str = "auto",
        classes: ArrayLike | None = None,
        smoothing: float | str = "auto",
        accuracy_preserving: bool = False,
        unseen_groups: bool = False,
        max_cost: float = 1.5e8,
        cv: Any = None,
        ensemble: bool | str = False,
        n_jobs: int | None = None,
    ) -> None:
        self.estimator = estimator
        self.response_method = response_method
        self.classes = classes
        self.smoothing = smoothing
        self.accuracy_preserving = accuracy_preserving
        self.unseen_groups = unseen_groups
        self.max_cost = max_cost
        self.cv = cv
        self.ensemble = ensemble
        self.n_jobs = n_jobs

    def _check_groups(self, groups: ArrayLike | None, wrapper: BaseCalibrator) -> None:
        if not self.unseen_groups:
            return
        if groups is None:
            raise ValueError(
                "unseen_groups=True holds out whole groups: pass groups to fit, one label for "
                "each row (in cross_val_score and the like params={'groups': groups}), or set "
                "unseen_groups=False."
            )
        folds_of_rows = wrapper.cv is None or isinstance(wrapper.cv, Integral)
        crossed = wrapper.estimator is not None
        if crossed and folds_of_rows and not isinstance(wrapper.estimator, FrozenEstimator):
            raise ValueError(
                f"unseen_groups=True, but cv={wrapper.cv!r} holds rows out of the estimator "
                "whatever their group: it would have seen them all. Pass a cv that keeps groups "
                "whole, such as StratifiedGroupKFold()."
            )

    def _fit_map(self, rows: CalibrationRows) -> MixtureMap:
        rows = rows.that_count()
        plan = self._plan(rows)
        fit = PathFitter(
            plan.penalties, _ALPHA, self.smoothing, monotone=self.accuracy_preserving, search=QUICK
        )
        with one_blas_thread:
            offset, path, obstacle = fit(rows)
            densities = held_out_densities(rows, fit, plan.n_folds, whole_groups=self.unseen_groups)
        shares = plan.pseudo_counts / plan.pseudo_counts.sum()
        if len(densities):
            shares = fit_mixture(densities, rows.weight, plan.pseudo_counts).shares
        shown = {
            "weights_": shares,
            "strengths_": np.array(plan.strengths),
            "cv_loss_": float(mean_losses(mixture_densities(densities, shares), rows.weight)),
            "member_cv_losses_": mean_losses(densities, rows.weight),
            "left_out_": plan.left_out,
        }
        return MixtureMap(
            path, offset, shares, rows.n_classes, self.accuracy_preserving, obstacle, shown
        )

    def _plan(self, rows: CalibrationRows) -> _Plan:
        """What these rows can bear."""
        left_out: list[str] = []
        strengths: tuple[float, ...] = (np.inf, _STRONG)
        penalties: tuple[Penalties, ...] = (Penalties(), Penalties(shared=_SHARED))
        map_rows: tuple[float, ...] = _ORDER_KEEPING_ROWS
        if self.accuracy_preserving:
            left_out.append("what would change the order of classes: accuracy_preserving=True")
        else:
            reason = self._why_no_pairs(rows)
            pairs = reason is None
            if reason:
                left_out.append(
                    f"coefficients between pairs of classes: {reason}; each class has a bias "
                    "instead"
                )
            weaker = [min(most, rows_worth / rows.total_weight) for rows_worth, most in _WEAKER]
            # The weakest map is about pairs: without them it only takes its time.
            strengths = (_STRONG, *weaker) if pairs else (_STRONG, weaker[0])
            penalties = tuple(_penalties(t, rows.n_classes, pairs) for t in strengths)
            map_rows = _MAP_ROWS[: len(strengths)]
        n_folds = number_of_folds(rows, whole_groups=self.unseen_groups)
        if not n_folds:
            few = "all rows are of one group"
            if rows.n_distinct < FEWEST_ROWS:
                few = f"{rows.n_distinct} rows are too few"
            left_out.append(f"shares by held-out rows: {few}; they are those of the prior")
        pseudo_counts = np.array([_UNIFORM_ROWS, _OWN_ROWS, *map_rows])
        return _Plan(penalties, strengths, pseudo_counts, n_folds, tuple(left_out))

    def _why_no_pairs(self, rows: CalibrationRows) -> str | None:
        """What forbids coefficients between pairs of classes, if something does."""
        if cost(rows) > self.max_cost:
            return (
                f"n_samples * n_classes**2 = {cost(rows):.3g} is above max_cost={self.max_cost:.3g}"
            )
        if 2 * rows.n_classes**2 > MOST_COEFFICIENTS:
            return f"those of {rows.n_classes} classes do not fit into memory"
        return None


def _penalties(strength: float, n_classes: int, pairs: bool) -> Penalties:
    """Those of a map: in proportion to how many coefficients share in a logit."""
    if not pairs:
        each = strength * n_classes
        return Penalties(shared=_SHARED, stretch=each, bias=each)
    n_pairs = n_classes * (n_classes - 1)
    return Penalties(
        shared=_SHARED,
        stretch=strength * n_classes,
        belief=strength,
        matrix=_MATRIX * strength**2 * n_pairs,
    )
