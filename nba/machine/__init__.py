# SPDX-License-Identifier: Apache-2.0
"""Cost models: closed forms, the exact row schedule, resources."""
