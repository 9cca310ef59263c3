"""The command `fastsam-trt`: one file a subcommand. Only this package prints and sets exit codes."""
