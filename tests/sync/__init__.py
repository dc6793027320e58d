"""Tests of the blocking client: of what writes it, and of all that it has to survive."""
