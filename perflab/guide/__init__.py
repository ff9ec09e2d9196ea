"""As printed: the guide's patterns, ported with their defects; each names the guide's lines."""
