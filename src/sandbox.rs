//! THE LINKEDIN SANDBOX: LinkedIn on loopback, for the demo, the tests and app developers.
