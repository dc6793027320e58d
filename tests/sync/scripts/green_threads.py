"""Calls a client where gevent has patched the standard library, all of it or all but threads."""

import os
import sys

from gevent import monkey  # type: ignore[import-untyped]

monkey.patch_all(thread=sys.argv[1] == "all")

from gradient_async import Gradient  # noqa: E402

with Gradient() as client:
    try:
        client.gpu_droplets.backups.list(int(os.environ["DROPLET_ID"]))
    except RuntimeError as error:
        print(error)
