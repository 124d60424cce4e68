"""Runs `python -m sellctl`, for systems where the console script is not on the path."""

from sellctl.app import main

if __name__ == "__main__":
    main()
