# SPDX-License-Identifier: Apache-2.0
"""The version of nba-codesign, which designs, bundles and metrics name."""

__version__ = "0.1.0"
