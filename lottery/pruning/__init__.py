"""What is pruned: criteria, scopes, schedules, and the selection to an exact count."""
