"""What a user does, in the order in which they do it."""
