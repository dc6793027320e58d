"""Calls a client where green threads have been put in place of real ones, or of all but threads."""

import os
import sys
import warnings

library, patched = sys.argv[1:]
if library == "gevent":
    from gevent import monkey  # type: ignore[import-untyped]

    monkey.patch_all(thread=patched == "all")
else:
    warnings.simplefilter("ignore")  # that it is deprecated
    import eventlet  # type: ignore[import-untyped]

    eventlet.monkey_patch(thread=patched == "all")

from gradient_async import Gradient  # noqa: E402

with Gradient() as client:
    try:
        client.gpu_droplets.backups.list(int(os.environ["DROPLET_ID"]))
    except RuntimeError as error:
        print(error)
