# SPDX-License-Identifier: Apache-2.0
"""Emission: Design -> files."""
