"""Facts of the machine, and the shell of HTML pages."""
