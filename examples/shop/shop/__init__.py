"""A small order service that counts what it does with pytest-goref."""
