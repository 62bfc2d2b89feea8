"""BasicSR can be imported once the plugin has been: every test may import it in any order."""
import deconas_plugin  # noqa: F401
