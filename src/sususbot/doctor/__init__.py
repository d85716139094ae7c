"""What is wrong, and what to do about it: settings, data folder and machine in, findings out. Nothing is changed."""
