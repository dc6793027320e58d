"""The client measured beside its peers: ``nox -s bench``. See README.md."""
