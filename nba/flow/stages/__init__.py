# SPDX-License-Identifier: Apache-2.0
"""One module per stage of the flow, which exports its `STAGE`: what the stage does, and all inputs that it has."""
