"""Networks of any kind trained alike, within a budget, and ranked.

It trains through ``runs`` and scores through ``benchmark``; here is what makes it fair, and what can be interrupted.
"""
