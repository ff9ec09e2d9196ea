"""What the ports need of Go that Python does not have."""
