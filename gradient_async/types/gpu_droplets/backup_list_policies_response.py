"""The answer of ``GET /v2/droplets/backups/policies``."""

import attrs

from .._model import Model, response
from ..shared import MetaProperties, PageLinks
from .backup_retrieve_policy_response import Policy

__all__ = ["BackupListPoliciesResponse", "Policies"]

Policies = Policy


@response
class BackupListPoliciesResponse(Model):
    """One page of the backup policies of all Droplets of the account.

    Attributes:
        meta: `meta.total` is the number of Droplets over all pages.
        links: The other pages, if there are any.
        policies: The policies of this page by Droplet ID, which is a ``str`` here.
    """

    meta: MetaProperties
    links: PageLinks | None = None
    policies: dict[str, Policies] = attrs.field(factory=dict)
