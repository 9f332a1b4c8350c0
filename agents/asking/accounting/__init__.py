"""What was asked and answered, and what it cost: the record, the replay of one, the budget and the prices."""
