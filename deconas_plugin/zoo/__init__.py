"""The model zoo: trained weights that come with the plugin, listed in ``zoo.yml``."""
