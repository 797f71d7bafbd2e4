# SPDX-License-Identifier: Apache-2.0
"""What knows nothing of the field: errors, files, tools, YAML and JSON, compilation, progress, digests."""
