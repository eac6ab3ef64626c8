"""Getting bytes in and out: WebSocket transports, REST, back-off, rate limits."""
