//! A gateway process without file descriptors left: it waits, and comes back by itself.

use std::net::TcpStream;

use super::{
    Duration, Instant,
    served::{Served, World},
};

/// Enough to start with, soon used up by callers.
const FILES: u32 = 96;

#[test]
fn out_of_file_descriptors_it_neither_spins_nor_dies_and_comes_back() {
    let world = World::new();
    let key = world.key("ada");
    let served = Served::start_with_files(&world, FILES);
    assert_eq!(served.get("/v2/userinfo", &key).status, 200);

    let idle: Vec<TcpStream> = (0..200)
        .map(|_| TcpStream::connect(served.callers).unwrap())
        .collect();
    let (before, began) = (served.processor_secs(), Instant::now());
    std::thread::sleep(Duration::from_secs(2)); // the time over which work is measured
    let spent = served.processor_secs() - before;
    let share = spent / began.elapsed().as_secs_f64();
    assert!(
        share < 0.15,
        "{spent} s of processor time while nothing can be done"
    );

    drop(idle);
    assert_eq!(
        served.get("/v2/userinfo", &key).status,
        200,
        "it serves again"
    );
    let lasted = began.elapsed().as_secs();
    let (code, log) = served.terminate_with_log();
    assert_eq!(code, Some(0), "{log}");
    let complaints = log.matches("no connection can be accepted").count();
    assert!(complaints > 0, "it was starving: {log}");
    let most = usize::try_from(lasted + 3).unwrap();
    assert!(complaints <= most, "one line a second at most: {log}");
}
