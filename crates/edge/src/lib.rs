//! Listeners, TLS, stream negotiation and flow control.
