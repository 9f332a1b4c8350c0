"""The way to a model's endpoint: one request in all its bounds, and what the endpoint takes and sends."""
