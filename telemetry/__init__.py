"""All that knows OpenTelemetry: the schema, the cells, logs and redaction. It never knows a market."""
