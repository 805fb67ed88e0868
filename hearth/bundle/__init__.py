"""One file with everything that a host without internet needs."""
