# SPDX-License-Identifier: Apache-2.0
"""Fuzzers: inputs that nobody would write on purpose, for everything that the product reads (`make fuzz`)."""
