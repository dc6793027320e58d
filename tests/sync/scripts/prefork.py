"""Calls from the prefork pool that Celery's workers are made of, with its soft time limit."""

import os
import warnings

from gradient_async import Gradient

# Newer versions of Python warn of every fork of a process that has threads.
warnings.filterwarnings("ignore", category=DeprecationWarning)

from billiard import Pool  # type: ignore[import-untyped] # noqa: E402 # pyright: ignore[reportAttributeAccessIssue, reportUnknownVariableType]
from billiard.exceptions import SoftTimeLimitExceeded  # type: ignore[import-untyped] # noqa: E402

client = Gradient(rate_limit=None)
droplet = int(os.environ["DROPLET_ID"])


def task() -> int | None:
    """Get how many backups there are, as a task."""
    return client.gpu_droplets.backups.list(droplet).meta.total


def slow_task() -> tuple[str, int | None]:
    """Wait for an answer that does not come in time, and then for one that does."""
    try:
        client.gpu_droplets.backups.retrieve_policy(droplet)
    except SoftTimeLimitExceeded:
        return "limited", task()
    return "answered", None


if __name__ == "__main__":
    print(task())
    pool = Pool(2, soft_timeout=1)
    print(*{pool.apply_async(task).get(timeout=20) for _ in range(10)})
    print(*pool.apply_async(slow_task).get(timeout=20))
    pool.close()
    pool.join()
    print(task())
