//! What the demo prints: how to connect, and each decision live, one line each, made of the audit records.
