"""Kinesis streams: events into one, and the calls that its readers and writers share."""
