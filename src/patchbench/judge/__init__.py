"""The judge: sends one load to a server and records what comes back.

It runs no code of the subject. Needs msgspec, zstandard and httptools besides Python, and
``tokenizers`` only to count the tokens of servers that answer in text alone.
"""
