"""Private keys that stay on a card or in the SSH agent: their holder signs, in the user's session."""
