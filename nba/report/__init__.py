# SPDX-License-Identifier: Apache-2.0
"""The report: one self-contained HTML page about a build."""

from nba.report.page import write_report

__all__ = ["write_report"]
