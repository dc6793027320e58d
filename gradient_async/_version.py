"""The version, written once: the build and ``gradient_async.__version__`` read it here."""

__version__ = "0.1.0"
