"""pyinfra loads this file first, from its current directory, so wrong invocations fail before any host is contacted."""

from hearth.cli.startup import check_invocation

check_invocation()
