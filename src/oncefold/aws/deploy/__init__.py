"""From a pipeline to a running stack: the functions' zip, the CloudFormation template, and changing a stack."""
