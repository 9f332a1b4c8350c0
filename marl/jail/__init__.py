"""What keeps a worker from the host: privileges, file and network rules, and a list of allowed system calls."""
