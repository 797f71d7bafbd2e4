#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Usage: inside.sh CLONE    (called by run.sh inside a new system)
# What README tells a new user to do, with a quick spec, and a smoke selection of the tests.
set -euo pipefail
cd "$1"
[ -z "$(ls -A "$HOME" | grep -vE '^(nba-codesign|\.bash.*|\.profile)$' || true)" ] || { echo "fresh: HOME is not empty" >&2; exit 1; }
for tool in g++ iverilog; do
  ! command -v "$tool" >/dev/null || { echo "fresh: $tool is there before the set-up" >&2; exit 1; }
done
grep -E '^PRETTY_NAME' /etc/os-release
python3 --version

# Set-up goes on, or says how much CUDA it would download and stops.
if ! make setup 2>setup.err; then
  cat setup.err
  grep -q '5.6 GB' setup.err && grep -q 'TORCH=cuda' setup.err
  echo "fresh: set-up stopped with the size, as it should where there is no CPU build of PyTorch; going on with TORCH=cuda"
  export TORCH=cuda
  make setup
else
  cat setup.err
  grep -qE 'about [0-9]+ MB' setup.err
fi

make run SPEC=tests/fresh/quick.yaml BUILD=build/quick
make sim
smoke="tests/unit/test_spec.py tests/unit/test_integer.py tests/unit/test_cycles.py tests/unit/test_cli.py tests/packaging tests/torch/test_fake.py"
.venv/bin/python -m pytest -q $smoke "tests/eda/test_benches.py" -k "not mutant"
.venv/bin/nba-codesign doctor
[ -z "$(git status --porcelain --untracked-files=all | grep -v '^?? setup.err$' || true)" ] || { git status --short; echo "fresh: files that git does not ignore were left" >&2; exit 1; }
echo "fresh: passed"
