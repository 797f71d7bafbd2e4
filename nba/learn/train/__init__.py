# SPDX-License-Identifier: Apache-2.0
"""Quantisation-aware training."""
