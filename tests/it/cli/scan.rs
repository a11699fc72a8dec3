//! `keyroll scan` (issue part "Leaks"): every key that is planted is found, and none is shown.

use std::fs;
use std::io::Write;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::{Command, Stdio};

use keyroll::domain::Class;
use keyroll::domain::clock::Entropy;
use keyroll::domain::secret::{KEY_REGEX, PlainKey};
use keyroll::service::runtime::SystemEntropy;
use serde_json::{Value, json};

use crate::support::server::{Output, finish};

/// A new key: its text, and its public part.
fn key() -> (String, String) {
    let key = PlainKey::mint(Class::Service, &SystemEntropy);
    (key.reveal(), key.selector().to_owned())
}

/// Searches in a folder, and sees that no key is told whole.
fn scan(folder: &Path, arguments: &[&str]) -> Output {
    let mut scan = Command::new(env!("CARGO_BIN_EXE_keyroll"));
    // Whatever is wrong with settings is no reason not to search.
    scan.env_clear().env("PATH", "/usr/bin:/bin").env("HOME", folder).env("KEYROLL_NONSENSE", "1");
    scan.current_dir(folder).arg("scan").args(arguments).stdin(Stdio::null());
    let output = finish(scan);
    assert!(!keyroll::domain::secret::holds_key_text(&format!("{}{}", output.stdout, output.stderr)), "{output:?}");
    output
}

/// The public parts of what is found, in order.
fn selectors(output: &Output) -> Vec<String> {
    let hits = output.json()["hits"].as_array().unwrap().clone();
    let mut found: Vec<String> = hits.iter().map(|hit| hit["selector"].as_str().unwrap().to_owned()).collect();
    found.sort();
    found
}

fn git(folder: &Path, arguments: &[&str]) {
    let mut git = Command::new("git");
    git.env_clear().env("PATH", "/usr/bin:/bin").env("HOME", folder).current_dir(folder);
    git.args(["-c", "user.name=a", "-c", "user.email=a@example.com", "-c", "init.defaultBranch=main"]);
    finish({
        git.args(arguments);
        git
    })
    .expect(0);
}

/// Seen to fail without the tail that pieces share, without the look for UTF-16, and with texts read as UTF-8 alone.
#[test]
fn every_key_that_is_planted_is_found() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let mut planted = vec![];
    let mut plant = || {
        let (text, selector) = key();
        planted.push(selector);
        text
    };
    fs::write(at("plain.env"), format!("A=1\nKEY=\"{}\"\n", plant())).unwrap();
    fs::create_dir_all(at("deep/er/still")).unwrap();
    fs::write(at("deep/er/still/url.log"), format!("GET /x?k%3D{}%26 1\\n{}\\n", plant(), plant())).unwrap();
    let wide = |text: &str, bytes: fn(u16) -> [u8; 2]| text.encode_utf16().flat_map(bytes).collect::<Vec<u8>>();
    fs::write(at("le.txt"), wide(&format!("\u{feff}key\r\n{}\r\n", plant()), u16::to_le_bytes)).unwrap();
    fs::write(at("be.txt"), wide(&format!("\u{feff}key\r\n{}\r\n", plant()), u16::to_be_bytes)).unwrap();
    let mut bytes = vec![0; 5_000];
    SystemEntropy.fill(&mut bytes);
    fs::write(at("program"), [&bytes, plant().as_bytes(), &bytes].concat()).unwrap();
    // Around each border of what is read at once, in lines without an end.
    let mut line = vec![b'x'; 10 << 20];
    for (n, border) in (1..).zip((256 << 10..line.len()).step_by(256 << 10)) {
        let start = border - n * 3;
        line[start..start + 66].copy_from_slice(plant().as_bytes());
    }
    fs::write(at("line"), &line).unwrap();
    fs::create_dir(at(&format!("of {}", plant()))).unwrap();
    fs::write(at(&format!("{}.pem", plant())), "").unwrap();
    fs::write(at("\u{1b}[31m"), plant()).unwrap();
    // Nobody's keys: cut, misspelt, and what has the form alone.
    let (other, _) = key();
    fs::write(
        at("no.txt"),
        format!("{} {} kru_000000TEST01_{}", &other[..65], other.replace("krs", "krx"), "0".repeat(49)),
    )
    .unwrap();

    let found = scan(folder.path(), &["--json", "."]).expect(1);
    planted.sort();
    assert_eq!(selectors(&found), planted);
    assert_eq!((found.json()["unread"].clone(), found.stderr.as_str()), (json!([]), ""));
    let lines = scan(folder.path(), &["."]).expect(1).stdout;
    assert_eq!(lines.lines().count(), planted.len());
    assert!(
        lines.contains("./plain.env:2:6: class s, krs_") && lines.contains("./le.txt:2:1: class s, krs_"),
        "{lines}"
    );
    assert!(!lines.contains('\u{1b}'), "{lines}");
    fs::remove_dir_all(at("deep")).unwrap();
    scan(folder.path(), &["no.txt"]).expect(0);
}

/// Seen to fail with links followed, to say nothing of `/proc/self/mem` with failures of reading let go, and to answer 0
/// for what is not there with the exit code of hits alone.
#[test]
fn nothing_is_left_out_in_silence_and_nothing_is_searched_for_ever() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    fs::create_dir(at("in")).unwrap();
    symlink("..", at("in/out")).unwrap();
    symlink("self", at("in/self")).unwrap();
    fs::write(at("keyroll.toml"), "nonsense = 1").unwrap();
    assert_eq!(scan(folder.path(), &["."]).expect(0).stdout, "");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2, "nothing was made");
    let missing = scan(folder.path(), &["none", "/proc/self/mem", "in"]).expect(4);
    let lines: Vec<&str> = missing.stderr.lines().collect();
    assert!(lines[0].starts_with("keyroll: none was not searched: No such file"), "{lines:?}");
    assert!(lines[1].starts_with("keyroll: /proc/self/mem was not searched: "), "{lines:?}");
    assert_eq!(lines.len(), 2);
    let (text, selector) = key();
    fs::write(at("in/key"), &text).unwrap();
    let both = scan(folder.path(), &["--json", "none", "in"]).expect(1);
    assert_eq!((selectors(&both), &both.json()["unread"][0]["path"]), (vec![selector], &json!("none")));
    // A link that somebody names is meant.
    symlink("in/key", at("link")).unwrap();
    scan(folder.path(), &["link"]).expect(1);
    for wrong in [&[][..], &["--stdin", "x"], &["--staged", "--history"], &["--json", "--sarif", "x"]] {
        scan(folder.path(), wrong).expect(2);
    }
    scan(folder.path(), &["--history"]).expect(4);
}

/// Seen to fail with the files of the working folder in the place of what is staged, and without `--reflog`.
#[test]
fn what_git_keeps_is_searched() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let keys: Vec<(String, String)> = (0..5).map(|_| key()).collect();
    let sorted = |wanted: &[usize]| {
        let mut wanted: Vec<String> = wanted.iter().map(|n| keys[*n].1.clone()).collect();
        wanted.sort();
        wanted
    };
    git(folder.path(), &["init", "-q"]);
    for kept in ["--staged", "--history"] {
        scan(folder.path(), &[kept]).expect(0);
    }
    fs::write(at("a b\n\u{fc}.txt"), &keys[0].0).unwrap();
    git(folder.path(), &["add", "-A"]);
    // What is staged, and not what the file has become.
    fs::write(at("a b\n\u{fc}.txt"), &keys[1].0).unwrap();
    let staged = scan(folder.path(), &["--staged", "--json"]).expect(1);
    assert_eq!((selectors(&staged), &staged.json()["hits"][0]["path"]), (sorted(&[0]), &json!("a b\\n\u{fc}.txt")));
    git(folder.path(), &["commit", "-qm", &format!("message {}", keys[2].0)]);
    scan(folder.path(), &["--staged"]).expect(0);
    fs::write(at("other"), &keys[3].0).unwrap();
    git(folder.path(), &["add", "-A"]);
    git(folder.path(), &["commit", "-qm", "second"]);
    git(folder.path(), &["tag", "-am", &keys[4].0, "v1"]);
    git(folder.path(), &["reset", "-q", "--hard", "HEAD~"]);
    git(folder.path(), &["rm", "-q", "a b\n\u{fc}.txt"]);
    git(folder.path(), &["commit", "-qm", "gone"]);
    scan(folder.path(), &["."]).expect(0);
    let all = sorted(&[0, 1, 2, 3, 4]);
    assert_eq!(selectors(&scan(folder.path(), &["--history", "--json"]).expect(1)), all);
    git(folder.path(), &["tag", "-d", "v1"]);
    assert_eq!(selectors(&scan(folder.path(), &["--history", "--json"]).expect(1)), sorted(&[0, 1, 2, 3]));
    // A history that was cut off is not all of it.
    let address = format!("file://{}", folder.path().display());
    git(folder.path(), &["clone", "-q", "--depth=1", &address, "cut"]);
    let cut = scan(folder.path(), &["--history", "cut"]).expect(4);
    assert!(cut.stderr.contains("git fetch --unshallow"), "{cut:?}");
}

#[test]
fn sarif_names_where_and_which() {
    let folder = tempfile::tempdir().unwrap();
    let (text, selector) = key();
    fs::write(folder.path().join("a #b.txt"), format!("\n\u{fc}{text}")).unwrap();
    let found = scan(folder.path(), &["--sarif", "a #b.txt"]).expect(1).json();
    assert_eq!((&found["version"], &found["runs"][0]["tool"]["driver"]["name"]), (&json!("2.1.0"), &json!("keyroll")));
    let run = &found["runs"][0];
    assert_eq!(run["results"][0]["ruleId"], run["tool"]["driver"]["rules"][0]["id"]);
    assert_eq!(run["results"][0]["fingerprints"], json!({"keyrollSelector/v1": selector}));
    let place = json!({"artifactLocation": {"uri": "a%20%23b.txt"}, "region": {"startLine": 2, "startColumn": 2}});
    assert_eq!(run["results"][0]["locations"], json!([{"physicalLocation": place}]));
    assert_eq!(run["invocations"][0]["executionSuccessful"], json!(true));
    let nothing = scan(folder.path(), &["--sarif", "/none"]).expect(4).json();
    assert_eq!(nothing["runs"][0]["results"], json!([]));
    assert_eq!(nothing["runs"][0]["invocations"][0]["executionSuccessful"], json!(false));
}

/// Seen to fail with all of the input read before any of it is searched.
#[test]
fn what_is_searched_is_not_kept() {
    let mut scan = Command::new(env!("CARGO_BIN_EXE_keyroll"));
    scan.args(["scan", "--stdin"]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = scan.spawn().unwrap();
    let mut input = child.stdin.take().unwrap();
    let (text, _) = key();
    for _ in 0..96 {
        input.write_all(&vec![b'k'; 1 << 20]).unwrap();
    }
    let status = fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    let peak: u64 = peak.trim().trim_end_matches(" kB").parse().unwrap();
    input.write_all(text.as_bytes()).unwrap();
    drop(input);
    let output = child.wait_with_output().unwrap();
    let stdout = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(stdout.starts_with(&format!("-:1:{}: class s, {}", (96 << 20) + 1, &text[..8])), "{stdout}");
    assert!(peak < 64 << 10, "{peak} KiB");
}

#[test]
fn other_scanners_look_for_the_same() {
    let read =
        |name: &str| fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("examples").join(name)).unwrap();
    let rules: Value = serde_json::to_value(toml::from_str::<toml::Table>(&read("gitleaks.toml")).unwrap()).unwrap();
    assert_eq!(rules["rules"][0]["regex"], json!(KEY_REGEX));
    let keywords = ["kru_", "krs_", "krp_", "kre_", "krc_"];
    assert_eq!(rules["rules"][0]["keywords"], json!(keywords));
    let detector = read("trufflehog.yaml");
    assert!(detector.contains(&format!("\n      key: '{KEY_REGEX}'\n")), "{detector}");
    assert!(detector.contains(&format!("\n    keywords: [{}]\n", keywords.join(", "))), "{detector}");
}
