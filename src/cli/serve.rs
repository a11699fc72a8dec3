//! `keyroll serve`.

use super::{first, print};
use crate::config::Config;
use crate::http;
use crate::service::Error;
use crate::worker::{self, Worker};

/// Binds first, so that the real port is known before the first URL is given out.
pub(super) fn serve(config: &Config) -> Result<(), Error> {
    let failed =
        |what: &str, error: std::io::Error| Error::Refused(format!("cannot {what} {}: {error}", config.listen));
    let has_proxy = !config.behind_proxy.is_empty();
    let listening = http::listen(config.listen, &config.data_dir, has_proxy);
    let mut listening = listening.map_err(|error| failed("listen on", error))?;
    let address = listening.address;
    if listening.is_beside {
        let until = "requests go to either until one of them is stopped";
        log::warn!("another server of this data folder listens on {address}, too: {until}");
    }
    let service = super::service(config, config.public_url_at(address))?;
    service.warnings().iter().for_each(|warning| log::warn!("{warning}"));
    service.check_clock()?;
    first::start(&service, &config.data_dir)?;
    if let Some(time) = service.log_ahead()? {
        let until = "keys that end before then are EXPIRED already, see docs/backup.md on a clock that was wrong";
        log::warn!("the newest record of the log is of {time:?}, which is still to come: {until}");
    }
    listening.share(&config.data_dir).map_err(|error| failed("share", error))?;
    service.join(&machine(), &address.to_string())?;
    let settings = http::Settings { behind_proxy: config.behind_proxy.clone(), ..http::Settings::default() };
    let ready = || print::announce(&format!("listening on http://{address}"));
    let worker = Worker::start(service.clone(), worker::jobs(&service));
    let worker = worker.map_err(|error| Error::Refused(format!("cannot start a thread: {error}")))?;
    let served = http::serve(listening, service.clone(), settings, ready);
    worker.stop();
    if let Err(error) = service.leave() {
        log::info!("could not take leave of the other nodes, which count this one for a minute: {}", error.causes());
    }
    served.map_err(|error| failed("serve on", error))
}

/// What this machine is called.
fn machine() -> String {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    name.trim().to_owned()
}
