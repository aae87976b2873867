"""Servers that answer as engines are documented to, and some that cheat."""
