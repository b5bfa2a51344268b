"""Reporting: verdicts become rows, rows become text. No pytest; tabulate lays out the tables."""
