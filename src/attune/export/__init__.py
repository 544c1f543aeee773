"""What leaves the house: a merged, converted model that says the same as the tuned one."""
