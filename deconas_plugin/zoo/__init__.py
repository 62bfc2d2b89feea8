"""The model zoo: trained weights that come with the plugin, listed in ``zoo.yml``.

They are found by ``files/zoo.py``; here they lie, with what makes the pages about them.
"""
