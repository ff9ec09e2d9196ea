"""As it should be: the patterns of the guide, correct and fast, on the standard library alone."""
