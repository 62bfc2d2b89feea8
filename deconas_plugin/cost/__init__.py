"""What a network costs: params, Mult-Adds, receptive field, latency, and the front of what nothing else beats.

What a cost takes off a reward is said in ``search``.
"""
