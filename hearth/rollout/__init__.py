"""Rolling deploys: backends change one after another, each left out by its gateways meanwhile."""
