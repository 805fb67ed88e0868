"""What hosts show: one class per question, each asked in one round trip."""
