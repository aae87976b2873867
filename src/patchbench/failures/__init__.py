"""Causes of failed launches: signatures in logs, tracebacks, and the blame that follows."""
