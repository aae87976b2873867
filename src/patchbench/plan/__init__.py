"""Campaign, subjects, task lists: what is to be measured."""
