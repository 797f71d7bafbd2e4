# SPDX-License-Identifier: Apache-2.0
"""Trained networks that others made: files of other tools become integer networks (docs/import.md)."""
