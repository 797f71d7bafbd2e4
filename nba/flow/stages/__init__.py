# SPDX-License-Identifier: Apache-2.0
"""One module per stage of the flow: `run(context)` writes the stage's files into `context.folder`; `check(spec)`
and `preflight(spec)`, where there are such, raise NbaError for what would make the stage fail later: `check` for what
is wrong with the spec and the files that it names, `preflight` for tools and packages that are missing."""
