"""What every function on DynamoDB shares: calls with deadlines, numbers and limits, transactions packed, answers."""
