"""Facts about a task's parent commit, read from the subject's git history in milliseconds.

Nothing is built or run: each fact comes from one file of the parent's tree and names its line.
"""
