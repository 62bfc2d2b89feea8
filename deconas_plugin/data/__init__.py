"""Images: the one reader and writer, databases and test sets made of them, and the datasets that give patches.

What a run asks of a dataset is checked in ``options``; who asks for patches is no concern of this room.
"""
