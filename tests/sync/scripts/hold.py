"""Makes one call that is not answered."""

import os

from gradient_async import Gradient

client = Gradient()
client.gpu_droplets.backups.list(int(os.environ["DROPLET_ID"]))
