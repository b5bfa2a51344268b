"""Where numbers live: baselines as JSON that is reviewed and committed, the history of runs in SQLite.

The layout is one directory below rootdir, made when something is first written (``cache``).
"""
