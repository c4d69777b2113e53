"""Clean-up of predictions over the superpixel graph.

Islands are removed as in section 4.4; smoothing is what section 5 calls inference.
"""
