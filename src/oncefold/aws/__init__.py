"""The pipeline on Kinesis, Lambda and DynamoDB. `functions/` runs in Lambda, everything else beside a person."""
