//! The `linkgate` command.

use std::process::ExitCode;

// A request makes some 30 allocations, some too large for glibc's cache of small pieces: with
// mimalloc it costs a tenth less (benches/README.md).
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    linkgate::cli::main()
}
