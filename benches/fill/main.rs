//! Makes a data folder with very many grants for `benches/scale`: `fill FOLDER COUNT LIFE_SECS AGE_SECS`.
//!
//! They are imported one by one by the same door as everybody's (`Credentials::import`), so what is
//! sealed and saved is what users have.
//!
//! **Neighbours:** `grants` imports; `benches/measuring/scaling` starts this, and then `linkgate serve`
//! on the folder.

use std::{env, path::Path, time::Duration};

use anyhow::{Context as _, bail};

#[path = "../grants.rs"]
mod grants;

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let words: Vec<String> = env::args().skip(1).collect();
    let [folder, count, life, age] = words.as_slice() else {
        bail!("usage: fill FOLDER COUNT LIFE_SECS AGE_SECS");
    };
    let count = count.parse().context("COUNT")?;
    let life = life.parse().context("LIFE_SECS")?;
    let age = Duration::from_secs(age.parse().context("AGE_SECS")?);
    let credentials = grants::credentials(Path::new(folder), age).await?;
    for n in 0..count {
        grants::import(&credentials, n, life).await?;
    }
    credentials.drain().await;
    Ok(())
}
