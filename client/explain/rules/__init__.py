"""What is known of failures, one file for each family; `table` has them in order."""
