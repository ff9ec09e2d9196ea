"""The figures of the chapters, one module each: a result goes in, `ch.figure` draws it."""
