//! SASL as sans-IO state machines, one file per mechanism.
