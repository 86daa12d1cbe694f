//! What an author is told: diagnostics as data, and the registry of their codes.
