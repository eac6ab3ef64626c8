"""Feeds: a venue's frames over the network into the price table."""
