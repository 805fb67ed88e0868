"""What on a host belongs to Hearth."""
