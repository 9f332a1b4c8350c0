"""Environments of others as tasks. They run in processes of their own, apart from candidate code."""
