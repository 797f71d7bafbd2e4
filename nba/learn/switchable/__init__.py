# SPDX-License-Identifier: Apache-2.0
"""Switchable-precision networks: one set of weights for several bitwidths (InstantNet, arXiv 2104.10853)."""
