"""Reading what the predecessor's harness left behind."""
