# SPDX-License-Identifier: Apache-2.0
"""The values that cross stages: network, accelerator, design."""
