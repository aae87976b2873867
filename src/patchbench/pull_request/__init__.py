"""A pull request as a campaign: the change between two refs is the patch of one agent, and each
workload is a task whose parent is the base."""
