"""Clean-up of predictions over the superpixel graph (section 4.4)."""
