# SPDX-License-Identifier: Apache-2.0
"""One module per stage of the flow: `run(context)` writes the stage's files into `context.folder`; `preflight(spec)`,
where there is one, raises NbaError for what would make the stage fail later."""
