"""Who has a say before a promotion that the statistics accept: the validator, and a person."""
