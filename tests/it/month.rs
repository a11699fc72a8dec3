//! A company's month, played by the example that ships: its report is what the file of people implies.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use crate::support::server::{Installation, finish};

/// Who may do what at the end of the month, from the file alone.
fn expected() -> Vec<String> {
    let people = include_str!("../../examples/joiners.csv");
    let mut lines = vec![];
    let mut order: BTreeMap<u32, Vec<String>> = BTreeMap::new();
    for line in people.lines().skip(1) {
        let fields: Vec<&str> = line.split(',').collect();
        let number = |at: usize| fields[at].parse::<u32>().ok();
        let (joins, moves, leaves, returns, deleted) = (number(4).unwrap(), number(5), number(7), number(8), number(9));
        let department = if moves.is_some() { fields[6] } else { fields[3] }.to_lowercase();
        let is_live = deleted.is_none() && (leaves.is_none() || returns.is_some());
        let mut roles = vec![department.clone(), "staff".to_owned()];
        let mut permissions = vec![format!("ship:{department}:enter"), "ship:mess:enter".to_owned()];
        if department == "harbour" {
            roles.push("pilot".to_owned());
            permissions.push("ship:bridge:enter".to_owned());
        }
        roles.sort();
        permissions.sort();
        let list = |items: Vec<String>| if is_live { items.join(",") } else { "-".to_owned() };
        order.entry(joins).or_default().push(format!("{} {} {}", fields[0], list(roles), list(permissions)));
    }
    order.into_values().for_each(|day| lines.extend(day));
    lines
}

#[test]
fn the_month_ends_with_the_access_that_the_file_implies() {
    for place in Installation::each() {
        let server = place.serve(&[]);
        let keys = server.keys();
        let program = Path::new(env!("CARGO_BIN_EXE_keyroll")).with_file_name("examples").join("idp_lifecycle");
        let mut command = Command::new(program);
        command.args([&format!("http://{}/scim/v2", server.address), &keys.provisioning, &keys.admin]);
        let output = finish(command).expect(0);
        let report: Vec<&str> = output.stdout.lines().filter(|line| line.contains('@')).collect();
        assert_eq!(report, expected());
        assert_eq!(report.len(), 60);
        server.terminate();
        server.wait();
    }
}
