"""Decodes every answer in many threads at once, none of which was decoded before."""

from __future__ import annotations

import sys
import threading

import msgspec

from gradient_async import types
from gradient_async._structure import decode

BODIES = {
    types.BackupListResponse: b'{"backups": [], "links": {"pages": {}}, "meta": {"total": 0}}',
    types.BackupListPoliciesResponse: b'{"policies": {}, "links": {}, "meta": {"total": 0}}',
    types.BackupListSupportedPoliciesResponse: b'{"supported_policies": []}',
    types.BackupRetrievePolicyResponse: b'{"policy": {"droplet_id": 1, "backup_enabled": false}}',
    types.DropletListResponse: b'{"droplets": [], "links": {}, "meta": {"total": 0}}',
}
THREADS = 12


def work() -> None:
    """Decode each answer, by the library and as users may."""
    together.wait()
    for kind, body in BODIES.items():
        assert decode(kind, body) == msgspec.json.decode(body, type=kind)


if __name__ == "__main__":
    sys.setswitchinterval(1e-6)
    together = threading.Barrier(THREADS)
    threads = [threading.Thread(target=work) for _ in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
