# SPDX-License-Identifier: Apache-2.0
"""The supernet: weight-sharing candidates of every block."""
