"""How a role's question reaches whoever answers it, and what comes back: parsed, paid for and written down."""
