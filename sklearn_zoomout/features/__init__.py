"""The zoom-out levels as transformers from superpixels to feature tables."""
