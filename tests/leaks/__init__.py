"""What programs that run for long do over and over, in a process of their own."""
