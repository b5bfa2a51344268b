"""The pytest plugin: the only package that imports pytest.

Only ``hooks`` is loaded when the plugin is off; everything else is imported when a session measures.
"""
