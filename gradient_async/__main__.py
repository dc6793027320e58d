"""``python -m gradient_async``: the command ``gradient-async``."""

import sys

from .cli import main

if __name__ == "__main__":
    sys.exit(main())
