"""Who may use the service: tokens and their scopes, host names, origins of web pages."""
