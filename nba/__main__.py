# SPDX-License-Identifier: Apache-2.0
"""`python -m nba`."""

from nba.cli import main

if __name__ == "__main__":
    main()
