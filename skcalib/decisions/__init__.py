"""Acting on probabilities: answer or abstain, ask a better model, pool several, rank candidates.

What these decide is only as good as the probabilities: calibrate first.
"""

from skcalib.decisions._cascade import CascadeClassifier
from skcalib.decisions._cascade_summary import CascadeSummary
from skcalib.decisions._pool import TemperaturePool
from skcalib.decisions._pool_summary import PoolSummary
from skcalib.decisions._ranking import rank_candidates
from skcalib.decisions._ranking_table import CandidateRanking, RankingRow
from skcalib.decisions._selective import SelectiveClassifier
from skcalib.decisions._selective_summary import SelectiveSummary

__all__ = [
    "CandidateRanking",
    "CascadeClassifier",
    "CascadeSummary",
    "PoolSummary",
    "RankingRow",
    "SelectiveClassifier",
    "SelectiveSummary",
    "TemperaturePool",
    "rank_candidates",
]
