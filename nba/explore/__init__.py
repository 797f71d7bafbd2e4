# SPDX-License-Identifier: Apache-2.0
"""From a network and budgets to a legal, deadlock-free accelerator whose predicted cost is exact."""
