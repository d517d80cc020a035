"""The commands of `lottery`, one file per group."""
