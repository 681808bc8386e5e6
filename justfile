# What to run before a commit; `.ci/run` runs everything.
check:
    cargo fmt --check
    cargo clippy --all-targets -- -D warnings
    RUSTDOCFLAGS="-D warnings" cargo doc --no-deps --document-private-items
    cargo test
    cargo deny check bans licenses sources
