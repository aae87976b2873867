"""Task lists in all known shapes, merged with the origin of every field."""

from patchbench.plan.lists.merge import MergedTask, merge
from patchbench.plan.lists.readers import Entry, read

__all__ = ["Entry", "MergedTask", "merge", "read"]
