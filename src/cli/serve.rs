//! `keyroll serve`.

use super::print;
use crate::config::Config;
use crate::http;
use crate::service::Error;
use crate::service::init::DEFAULT;

/// Binds first, so that the real port is known before the first URL is given out.
pub(super) fn serve(config: &Config) -> Result<(), Error> {
    let failed =
        |what: &str, error: std::io::Error| Error::Refused(format!("cannot {what} {}: {error}", config.listen));
    let (listener, address) = http::bind(config.listen).map_err(|error| failed("listen on", error))?;
    let service = super::service(config, config.public_url_at(address))?;
    if service.is_empty()? {
        match service.init(DEFAULT) {
            Ok(made) => print::json(&made)?,
            // Another node was faster: the keys are in its output.
            Err(Error::Conflict { .. }) => {}
            Err(error) => return Err(error),
        }
    }
    print::line(&format!("listening on http://{address}"));
    let settings = http::Settings { behind_proxy: config.behind_proxy.clone(), ..http::Settings::default() };
    http::serve(listener, service, settings).map_err(|error| failed("serve on", error))
}
