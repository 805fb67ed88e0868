"""pyinfra reads this first, in the directory that it is started in: mistakes are told before any host is asked."""

from hearth.beginning import begin

begin()
