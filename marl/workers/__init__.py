"""Where candidate code runs: a fork server and its pool. Nothing here unpickles."""
