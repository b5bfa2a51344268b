"""Judging: a record, what is expected of it and the rules make a verdict. Pure: no I/O, no pytest."""
