# SPDX-License-Identifier: Apache-2.0
"""Networks that a spec names instead of searching one (docs/given-networks.md): published layers, random weights."""
