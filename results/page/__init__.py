"""A run as one page that opens anywhere: the answer first, then why it can or cannot be trusted."""
