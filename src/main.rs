//! The `linkgate` command.
fn main() {}
