"""pyinfra reads this first, in the directory that it is started in: mistakes are told before any host is asked."""

from hearth.cli.startup import check_invocation

check_invocation()
