"""Old results as a campaign: single launches of ISO-Bench's harness, or a table of counts.

Nothing imported was repeated or paired with a baseline, so nothing here gets a verdict, and an
agent is charged only with what its patch shows by itself (it is empty, it does not apply).
"""
