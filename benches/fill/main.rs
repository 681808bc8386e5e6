//! Makes a data folder with very many grants for `benches/scale`: `fill FOLDER COUNT LIFE_SECS AGE_SECS`.
//!
//! They are imported one by one by the same door as everybody's (`Credentials::import`), so what is
//! sealed is what users have; each core imports its share, and `heaped` saves a thousand at once.
//!
//! **Neighbours:** `grants` imports; `benches/measuring/scaling` starts this, and then `linkgate serve`
//! on the folder.

use std::{env, num::NonZero, path::Path, sync::Arc, thread, time::Duration};

use anyhow::{Context as _, bail};

#[path = "../grants.rs"]
mod grants;
mod heaped;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let words: Vec<String> = env::args().skip(1).collect();
    let [folder, count, life, age] = words.as_slice() else {
        bail!("usage: fill FOLDER COUNT LIFE_SECS AGE_SECS");
    };
    let count: u64 = count.parse().context("COUNT")?;
    let life: u64 = life.parse().context("LIFE_SECS")?;
    let age = Duration::from_secs(age.parse().context("AGE_SECS")?);
    let folder = Path::new(folder);
    let (store, ring) = grants::opened(folder).await?;
    // It makes the application's own key, once for all who follow.
    drop(grants::credentials(store.clone(), ring.clone(), age).await?);
    let heaped = Arc::new(heaped::Heaped::over(store, &grants::file(folder))?);
    let shares = thread::available_parallelism().map_or(1, NonZero::get);
    let mut all = Vec::new();
    for first in (0..count).take(shares) {
        // Of its own each, since imports into one wait for each other; before any has saved something.
        let credentials = grants::credentials(heaped.clone(), ring.clone(), age).await?;
        all.push((first, credentials));
    }
    let mut importing = tokio::task::JoinSet::new();
    for (first, credentials) in all {
        importing.spawn(async move {
            for n in (first..count).step_by(shares) {
                grants::import(&credentials, n, life).await?;
            }
            credentials.drain().await;
            anyhow::Ok(())
        });
    }
    while let Some(done) = importing.join_next().await {
        done??;
    }
    Ok(heaped.finish()?)
}
