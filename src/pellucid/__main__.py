"""`python -m pellucid` is the command `pellucid`."""

import sys


def main() -> None:
    """Run the command. Ctrl-C is answered also while it is being loaded."""
    try:
        from .cli.main import main as command
    except KeyboardInterrupt:
        print("pellucid: stopped.", file=sys.stderr)
        sys.exit(130)
    command()


if __name__ == "__main__":
    main()
