"""What the documentation shows is run: README, pages and docstrings."""
