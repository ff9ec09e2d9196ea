"""What the contracts are made of: apparatus that forces situations, and checks by the group."""
