"""The audit: asks the venues' REST APIs whether the table's quotes are still true.

It writes verdicts and figures beside the quotes, never a quote: the feeds act on what it finds.
"""
