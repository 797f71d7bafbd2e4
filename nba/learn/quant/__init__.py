# SPDX-License-Identifier: Apache-2.0
"""Integer reference, fake quantisation and the export from one to the other."""
