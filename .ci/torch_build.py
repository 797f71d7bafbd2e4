# SPDX-License-Identifier: Apache-2.0
"""Print which PyTorch pip would install with the options given: `installed` (nothing to do), `cpu` or `cuda`.

Nothing is downloaded but metadata. Ends with status 1 where pip finds no PyTorch at all; pip has said why.
"""

from __future__ import annotations

import json
import subprocess
import sys

from pip._vendor.packaging.requirements import Requirement


def brings_cuda(requirement: str) -> bool:
    """Whether a requirement of PyTorch applies here and is one of CUDA's packages."""
    found = Requirement(requirement)
    applies = found.marker is None or found.marker.evaluate({"extra": ""})
    return applies and found.name.startswith(("nvidia-", "cuda-"))


def main() -> None:
    """See the module's text."""
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--dry-run", "--no-deps", "--report", "-"]
    done = subprocess.run([*command, *sys.argv[1:], "torch"], stdout=subprocess.PIPE, check=False)
    if done.returncode:
        sys.exit(1)
    chosen = json.loads(done.stdout)["install"]
    if not chosen:
        print("installed")
    elif any(map(brings_cuda, chosen[0]["metadata"].get("requires_dist", ()))):
        print("cuda")
    else:
        print("cpu")


if __name__ == "__main__":
    main()
