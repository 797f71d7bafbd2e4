# SPDX-License-Identifier: Apache-2.0
"""Search spaces as data."""
