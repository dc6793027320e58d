"""Maps over a process pool after the client of this module was used."""

import multiprocessing
import os
import sys
import warnings

from gradient_async import Gradient

# Newer versions of Python warn of every fork of a process that has threads.
warnings.filterwarnings("ignore", category=DeprecationWarning, message=".*fork")

client = Gradient(rate_limit=None)
droplet = int(os.environ["DROPLET_ID"])


def call(_: int) -> tuple[int, int | None]:
    """Get which process this is, and how many backups there are."""
    return os.getpid(), client.gpu_droplets.backups.list(droplet).meta.total


if __name__ == "__main__":
    call(0)
    with multiprocessing.get_context(sys.argv[1]).Pool(2) as pool:
        answers = pool.map(call, range(8), chunksize=1)
        print(*{total for _, total in answers}, flush=True)
        print(os.getpid() in {process for process, _ in answers}, flush=True)
        pool.close()
        pool.join()
    print(call(0)[1], flush=True)
