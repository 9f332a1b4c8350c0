"""What a run says of itself: its events, how they are kept, and how people see them."""
