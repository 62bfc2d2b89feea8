"""Settings of all tests: the plugin first, so that BasicSR can be imported in any order, and one thread.

The networks of the tests are so small that several threads wait for each other longer than they work.
"""
import os

os.environ.setdefault('OMP_NUM_THREADS', '1')

import deconas_plugin  # noqa: E402, F401
