"""What other tools keep of a run, fed by its events."""
