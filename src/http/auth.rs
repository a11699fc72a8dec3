//! The bearer token of a request (RFC 6750 §2.1): from the header and from nowhere else.

use actix_web::HttpRequest;
use actix_web::http::header::AUTHORIZATION;
use percent_encoding::percent_decode_str;

use crate::service::Error;

/// The token; `None` if the request carries no `Authorization`.
///
/// # Errors
/// 400 for more than one (RFC 6750 §3.1: `invalid_request`), 401 for another scheme.
pub(super) fn bearer(request: &HttpRequest) -> Result<Option<String>, Error> {
    let mut headers = request.headers().get_all(AUTHORIZATION);
    let Some(header) = headers.next() else { return Ok(None) };
    // Whichever of two keys were looked at, somebody could have meant the other (attack case A29).
    if headers.next().is_some() {
        return Err(Error::Authorization("more than one Authorization header"));
    }
    // RFC 6750 §2: one way at a time. By itself this one is not looked at.
    let name =
        |pair: &'_ str| percent_decode_str(pair.split_once('=').map_or(pair, |(name, _)| name)).eq(*b"access_token");
    if request.query_string().split('&').any(name) {
        return Err(Error::Authorization("access_token beside an Authorization header"));
    }
    let unusable = Error::Unauthenticated("Authorization: expected Bearer and a key");
    let Ok(text) = header.to_str() else { return Err(unusable) };
    let Some((scheme, token)) = text.split_once(' ') else { return Err(unusable) };
    if !scheme.eq_ignore_ascii_case("bearer") {
        return Err(unusable);
    }
    Ok(Some(token.trim().to_owned()))
}
