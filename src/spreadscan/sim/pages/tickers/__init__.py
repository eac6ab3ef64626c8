"""Tickers and order books over REST, in each venue's own shapes: what an audit asks for, and what
clients look up by hand.

A venue answers for both of its markets wherever the parameters tell them apart (Bybit, OKX).
"""
