"""Records in; tables, figures and verdicts out. Never imports torch."""
