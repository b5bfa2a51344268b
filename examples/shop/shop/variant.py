"""Which mistake the shop makes, for those who want to see it found.

Set by the environment variable ``SHOP_VARIANT``: ``n_plus_one``, ``lost_cache``, ``deepcopy``,
``slow_membership``, or empty for none. Every assertion of every test holds in all of them.
"""

import os

VARIANT = os.environ.get("SHOP_VARIANT", "")
