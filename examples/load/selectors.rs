//! Whether the time of an answer tells that there is a key: known selectors with a wrong secret against unknown
//! ones, in turns, by Welch's t-test.

use std::time::Instant;

use serde_json::{Value, json};

use super::client::{Request, Single, scatter};
use super::servers::Keyroll;

const TIMES: usize = 12_000;
/// Keys that there are, with other secrets.
const KEYS: usize = 200;

/// Prints both means, how far they are apart, and t: below 3 it says nothing.
pub(super) fn measure(keyroll: &Keyroll, ids: &[String]) {
    let admin = keyroll.admin();
    let issue = |n: usize| {
        let owner = &ids[scatter(n as u64) as usize % ids.len()];
        let body = json!({"name": format!("key {n}"), "owner": {"type": "user", "id": owner}});
        let made: Value = serde_json::from_str(&admin.post("/v1/keys", &body)).expect("a key");
        made["key"].as_str().expect("text").to_owned()
    };
    let keys: Vec<String> = (0..=KEYS).map(issue).collect();
    let secret = &keys[KEYS][17..60];
    let known = |n: usize| checked(format!("{}{secret}", &keys[n % KEYS][..17]));
    let unknown = |n: usize| {
        let selector: String =
            (0..12).map(|at| char::from(LETTERS[(scatter((n * 12 + at) as u64) % 62) as usize])).collect();
        checked(format!("{}{selector}_{secret}", &keys[0][..4]))
    };
    let mut client = Single::connect(keyroll.address());
    let mut times = [vec![], vec![]];
    for n in 0..TIMES + TIMES / 10 {
        let mut pair = [(0, known(n)), (1, unknown(n))];
        // Neither is always the first.
        if scatter(n as u64).is_multiple_of(2) {
            pair.reverse();
        }
        for (kind, key) in pair {
            let request = Request::post("/v1/verify", keyroll.admin_key(), &json!({"key": key}).to_string());
            let started = Instant::now();
            assert_eq!(client.ask(&request), 200);
            // The first tenth warms up.
            if n >= TIMES / 10 {
                times[kind].push(started.elapsed().as_nanos() as f64 / 1_000.0);
            }
        }
    }
    // What the machine did meanwhile is in both: the slowest twentieth of each is left out.
    let [known, unknown] = times.map(|mut times| {
        times.sort_by(f64::total_cmp);
        times.truncate(times.len() * 19 / 20);
        times
    });
    let ((a, va), (b, vb)) = (moments(&known), moments(&unknown));
    let t = (a - b) / (va / known.len() as f64 + vb / unknown.len() as f64).sqrt();
    println!(
        "verify with a wrong secret: {a:.2} µs of a known selector, {b:.2} µs of an unknown one: {:+.2} %, t = {t:.2}, n = {}",
        (a / b - 1.0) * 100.0,
        known.len()
    );
}

fn moments(times: &[f64]) -> (f64, f64) {
    let mean = times.iter().sum::<f64>() / times.len() as f64;
    (mean, times.iter().map(|time| (time - mean).powi(2)).sum::<f64>() / (times.len() - 1) as f64)
}

const LETTERS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// A key with a checksum that is right: others are refused before they are looked up.
fn checked(body: String) -> String {
    let mut crc = crc32fast::hash(body.as_bytes());
    let mut tail = [b'0'; 6];
    for place in tail.iter_mut().rev() {
        *place = LETTERS[(crc % 62) as usize];
        crc /= 62;
    }
    body + std::str::from_utf8(&tail).expect("letters")
}
