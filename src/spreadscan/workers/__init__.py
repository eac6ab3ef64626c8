"""Workers: what those that write into an instance have in common, whatever they do there."""
