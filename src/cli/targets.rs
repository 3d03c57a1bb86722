//! Whom commands that send many questions may send them to.

use std::net::SocketAddr;

use anyhow::bail;

use super::failure::Usage;

/// Servers on this machine; others only when somebody has said that they are theirs.
pub(crate) fn may_be_asked(server: SocketAddr, allow_remote: bool) -> anyhow::Result<()> {
    if !allow_remote && !server.ip().to_canonical().is_loopback() {
        bail!(Usage(format!(
            "{server} is not on this machine; if it is yours to put under load, say --allow-remote"
        )));
    }
    Ok(())
}
