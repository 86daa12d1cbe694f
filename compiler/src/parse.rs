//! The front end in one call: from text to a checked policy.
