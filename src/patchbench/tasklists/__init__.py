"""Task lists: what people have, in whatever shape, merged with the origin of every field."""

from patchbench.tasklists.merge import MergedTask, merge
from patchbench.tasklists.readers import Entry, read

__all__ = ["Entry", "MergedTask", "merge", "read"]
