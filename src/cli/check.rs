//! `linkgate check`: every problem at once, or the configuration as it came out.

use std::path::Path;

use crate::{
    config::{Config, Environment},
    dial::Dialer,
};

use super::{End, print};

pub(super) fn run(file: &Path, environment: &Environment) -> Result<(), End> {
    let config = Config::load(file, environment)?;
    // The one thing that is only known once it is opened.
    Dialer::new(config.dial.clone()).map_err(crate::app::StartError::from)?;
    for remark in &config.remarks {
        print::remark(&format!("remark: {remark}"))?;
    }
    print::line(config.effective.trim_end())?;
    Ok(())
}
