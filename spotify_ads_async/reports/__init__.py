"""Reports of any range and any number of entities: planned, walked as typed rows, and fetched as files."""

from __future__ import annotations

from spotify_ads_async.reports.calls import AggregateReportCall, InsightsCall, ReportCall, TotalsCall
from spotify_ads_async.reports.csv_report import CsvReport, ReportFailed
from spotify_ads_async.reports.failed_metrics import OnFailedMetric
from spotify_ads_async.reports.resource import Reports
from spotify_ads_async.reports.rows import HIDDEN, AtLeast, Hidden, InsightRow, ReportRow, TotalsRow, Value, total_of

__all__ = [
    "HIDDEN",
    "AggregateReportCall",
    "AtLeast",
    "CsvReport",
    "Hidden",
    "InsightRow",
    "InsightsCall",
    "OnFailedMetric",
    "ReportCall",
    "ReportFailed",
    "ReportRow",
    "Reports",
    "TotalsCall",
    "TotalsRow",
    "Value",
    "total_of",
]
