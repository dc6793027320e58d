"""Requests against servers that misbehave: what must hold whatever the network does."""
