"""Counting: from the tables' rows to the report's numbers. No words here, no layout."""
