"""What a user takes home: the signal, the policy, and a wrapper for any library."""
