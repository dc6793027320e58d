"""Forks after a client was used, at rest or while another thread is in the middle of a call."""

import os
import sys
import threading
import warnings

from gradient_async import Gradient

# Newer versions of Python warn of every fork of a process that has threads.
warnings.filterwarnings("ignore", category=DeprecationWarning, message=".*fork")

client = Gradient(rate_limit=None, default_headers={"x-process": "parent"})
child_client = client.copy(default_headers={"x-process": "child"})
droplet = int(os.environ["DROPLET_ID"])


def say(*words: object) -> None:
    """Print a line at once: other threads and processes print, too."""
    os.write(1, (" ".join(map(str, words)) + "\n").encode())


def call(client: Gradient = client) -> int | None:
    """Get how many backups there are."""
    return client.gpu_droplets.backups.list(droplet).meta.total


call()
threads: list[threading.Thread] = []
if sys.argv[1] == "busy":
    threads.append(threading.Thread(target=lambda: say(call())))
    threads[0].start()
    sys.stdin.readline()
results = client.gpu_droplets.backups.list_many([droplet] * 3)
next(results)

child = os.fork()
if not child:
    say(call(child_client), call(child_client))
    total = sum(1 for _ in child_client.gpu_droplets.backups.list_many(iter([droplet, droplet])))
    say(total)
    if sys.argv[2] == "closes":
        child_client.close()
        client.close()
    sys.exit(7)
say(call())
_, status = os.waitpid(child, 0)
say(os.waitstatus_to_exitcode(status), call(), sum(1 for _ in results))
for thread in threads:
    thread.join()
