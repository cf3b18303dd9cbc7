"""The command `onelip`, also where the packages that it needs are not installed."""

from __future__ import annotations

import sys


def main() -> None:
    """Run the command line; without the packages of the extra `train`, say in one line what to install.

    Raises:
        ModuleNotFoundError: A module of our own is missing.
    """
    try:
        from onelip.cli import main as run

        run()
    except ModuleNotFoundError as error:
        missing = (error.name or "onelip").partition(".")[0]
        if missing == "onelip":
            raise
        sys.stderr.write(
            f"onelip: this command needs the package {missing!r}, which is not installed; install onelip with its "
            f"extra [train]\n"
        )
        sys.exit(2)


if __name__ == "__main__":
    main()
