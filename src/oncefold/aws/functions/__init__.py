"""What runs in Lambda: the scalar core, the protocol over DynamoDB, the entry points. Standard library and botocore."""
