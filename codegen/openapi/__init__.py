"""Reader of the OpenAPI files: everything that the generators and the runtime do not handle is an error."""
