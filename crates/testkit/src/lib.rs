//! In-process nodes and scripted clients for tests.
