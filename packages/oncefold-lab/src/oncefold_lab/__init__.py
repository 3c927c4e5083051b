"""What proves Oncefold: a simulated AWS, fault searches, planted bugs, a model, and the stack on one machine."""
