"""Putting it together: the one place where config, lists, instance and workers meet."""
