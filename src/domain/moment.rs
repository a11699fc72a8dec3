//! A moment that people ask about, as in `--at 2027-01-31`.

use chrono::{DateTime, Days, NaiveDate, TimeDelta, Utc};

/// What a refusal says that it expects.
pub const EXPECTED: &str = "a time such as 2027-01-31T09:30:00Z, or a date, which is the end of that day in UTC";

/// Reads a time (RFC 3339), or a date: the end of that day in UTC, or `now` as long as it has not ended.
pub fn parse(text: &str, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
    if let Ok(time) = DateTime::parse_from_rfc3339(text) {
        return Some(time.with_timezone(&Utc));
    }
    // chrono would take a date without leading zeros, too.
    let date = NaiveDate::parse_from_str(text, "%Y-%m-%d").ok().filter(|_| text.len() == "2027-01-31".len())?;
    let next = date.checked_add_days(Days::new(1))?.and_hms_opt(0, 0, 0)?.and_utc();
    // Records tell times to the microsecond.
    Some(next.checked_sub_signed(TimeDelta::microseconds(1))?.min(now))
}

#[cfg(test)]
mod tests {
    use crate::scim::text::render_time;

    #[test]
    fn a_date_is_the_end_of_its_day_or_now() {
        let now = "2027-02-03T10:00:00Z".parse().unwrap();
        let read = |text| super::parse(text, now).map(|time| time.to_rfc3339());
        assert_eq!(read("2027-01-31T09:30:00+02:00").as_deref(), Some("2027-01-31T07:30:00+00:00"));
        assert_eq!(read("2027-01-31").as_deref(), Some("2027-01-31T23:59:59.999999+00:00"));
        assert_eq!(read("2027-02-03"), Some(render_time(now).replace(".000Z", "+00:00")));
        // A time may lie ahead: it tells what has run out by then.
        assert_eq!(read("2027-02-04T00:00:00Z").as_deref(), Some("2027-02-04T00:00:00+00:00"));
        for bad in ["", "yesterday", "2027-1-31", "2027-02-30", "2027-01-31T09:30:00", "27-01-31", "2027-01-31 "] {
            assert_eq!(read(bad), None, "{bad}");
        }
    }
}
