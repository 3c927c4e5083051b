"""Blocks of CSV give, record by record, what the scalar decoder gives."""
