"""perflab: what a performance guide claims, what holds, and how to measure it yourself."""
