"""Scripts, each of which is one command of ``deconas``; and ``lab``, which measures the project itself."""
