"""The containers: files, images, Compose."""
