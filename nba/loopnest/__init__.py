# SPDX-License-Identifier: Apache-2.0
"""Layers as loop nests on memory hierarchies: what a mapping costs (docs/mapping-model.md), and the best one."""
