"""Reports of any range and any number of entities: planned, walked as typed rows, and fetched as files."""

from __future__ import annotations

from spotify_ads_async.reports.calls import AggregateReportCall, InsightsCall, ReportCall, TotalsCall
from spotify_ads_async.reports.csv_report import CsvReport, ReportFailed
from spotify_ads_async.reports.resource import Reports
from spotify_ads_async.reports.rows import HIDDEN, Hidden, InsightRow, ReportRow, TotalsRow, Value

__all__ = [
    "HIDDEN",
    "AggregateReportCall",
    "CsvReport",
    "Hidden",
    "InsightRow",
    "InsightsCall",
    "ReportCall",
    "ReportFailed",
    "ReportRow",
    "Reports",
    "TotalsCall",
    "TotalsRow",
    "Value",
]
