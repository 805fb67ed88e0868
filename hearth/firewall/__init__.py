"""The firewall for the ports that Hearth publishes."""
