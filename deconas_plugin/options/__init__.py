"""What an option file may say: every key with its default, the checks before a run starts, the pages made of them.

Reading and writing the files is done in ``files``. To describe a new key, begin with ``schema.py``.
"""
