//! ISO 8601 durations of fixed length, as in `"expires_in":"P30D"`.

use chrono::TimeDelta;

/// Parses `P[nW][nD][T[nH][nM][nS]]`. Years and months have no fixed length and are refused.
pub fn parse(text: &str) -> Option<TimeDelta> {
    let rest = text.strip_prefix('P')?;
    let (date, time) = match rest.split_once('T') {
        Some((_, "")) => return None,
        Some((date, time)) => (date, time),
        None => (rest, ""),
    };
    if date.is_empty() && time.is_empty() {
        return None;
    }
    let days = sum(date, &[('W', 7 * 86_400), ('D', 86_400)])?;
    let seconds = sum(time, &[('H', 3_600), ('M', 60), ('S', 1)])?;
    TimeDelta::try_seconds(days.checked_add(seconds)?)
}

/// Adds up `<number><unit>` terms, whose units come in the order given.
fn sum(mut text: &str, units: &[(char, i64)]) -> Option<i64> {
    let mut total = 0i64;
    for (unit, seconds) in units {
        if let Some((number, rest)) = text.split_once(*unit) {
            if number.is_empty() || number.len() > 9 || !number.bytes().all(|b| b.is_ascii_digit()) {
                return None;
            }
            total = total.checked_add(number.parse::<i64>().ok()?.checked_mul(*seconds)?)?;
            text = rest;
        }
    }
    text.is_empty().then_some(total)
}

#[cfg(test)]
mod tests {
    #[test]
    fn reads_fixed_lengths_only() {
        let seconds = |text| super::parse(text).map(|d| d.num_seconds());
        assert_eq!(seconds("P30D"), Some(2_592_000));
        assert_eq!(seconds("P1W"), Some(604_800));
        assert_eq!(seconds("P1DT2H3M4S"), Some(93_784));
        assert_eq!(seconds("PT15M"), Some(900));
        for bad in ["", "P", "PT", "P1", "30D", "P-1D", "P1Y", "P1M", "PT1D", "P1D2W", "P1DT", "P1.5D", "P9999999999D"]
        {
            assert_eq!(seconds(bad), None, "{bad}");
        }
    }
}
