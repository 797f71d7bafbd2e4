# SPDX-License-Identifier: Apache-2.0
"""All that learns, and so needs PyTorch: data, quantisation in training, search of networks, switchable precision,
training."""
