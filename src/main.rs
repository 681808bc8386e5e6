//! The `linkgate` command.

use std::process::ExitCode;

// A request makes some 30 allocations, six of them too large for glibc's cache of small pieces:
// with glibc they cost 8 % of a request more (benches/README.md).
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    linkgate::cli::main()
}
