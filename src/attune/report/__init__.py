"""What people read: summaries and reports of a run."""
