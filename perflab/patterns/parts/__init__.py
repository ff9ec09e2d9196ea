"""What the patterns are made of: pieces that are not for use on their own."""
