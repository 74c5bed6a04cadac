"""Watching calibration where a model serves, and deciding what to do about it."""

from skcalib.monitoring._alarm import Alarm
from skcalib.monitoring._comparison import compare_forecasts
from skcalib.monitoring._comparison_table import ComparisonRow, ForecastComparison
from skcalib.monitoring._merging import merge_monitors
from skcalib.monitoring._monitor import CalibrationMonitor
from skcalib.monitoring._monitor_report import MonitorReport
from skcalib.monitoring._policy_value import PolicyEstimate, PolicyValue, policy_value
from skcalib.monitoring._temperature_policy import TemperaturePolicy

__all__ = [
    "Alarm",
    "CalibrationMonitor",
    "ComparisonRow",
    "ForecastComparison",
    "MonitorReport",
    "PolicyEstimate",
    "PolicyValue",
    "TemperaturePolicy",
    "compare_forecasts",
    "merge_monitors",
    "policy_value",
]
