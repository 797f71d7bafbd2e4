# SPDX-License-Identifier: Apache-2.0
"""A run: its stages, the runner that does each once for the same inputs, what stages leave each other, the metrics."""
