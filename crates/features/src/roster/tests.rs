//! RFC 6121 §2, request by request.
