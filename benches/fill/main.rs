//! Makes a data folder with very many grants for `benches/scale`: `fill FOLDER COUNT EXPIRES_IN_SECS`.
//!
//! They are imported one by one by the same door as everybody's (`Credentials::import`), so what is
//! sealed and saved is what users have.
//!
//! **Neighbours:** `grants` imports; `benches/measuring/scaling` starts this, and then `linkgate serve`
//! on the folder.

use std::{env, path::Path};

use anyhow::{Context as _, bail};

#[path = "../grants.rs"]
mod grants;

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let words: Vec<String> = env::args().skip(1).collect();
    let [folder, count, expires_in] = words.as_slice() else {
        bail!("usage: fill FOLDER COUNT EXPIRES_IN_SECS");
    };
    let (count, expires_in) = (
        count.parse().context("COUNT")?,
        expires_in.parse().context("EXPIRES_IN_SECS")?,
    );
    let credentials = grants::credentials(Path::new(folder)).await?;
    for n in 0..count {
        grants::import(&credentials, n, expires_in).await?;
    }
    credentials.drain().await;
    Ok(())
}
