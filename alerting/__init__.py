"""Takes alerts from Alertmanager to people: bridge, client and drill. It never imports the collector."""
