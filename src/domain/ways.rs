//! The ways through groups, from a principal up to the groups that give it something.

use std::collections::{HashMap, HashSet, VecDeque};

use super::access::{Groups, Hit};

/// How many reasons by further ways are listed for one principal.
const FURTHER_MAX: usize = 1_000;

/// How many groups inside each other a further way has.
const DEPTH_MAX: usize = 100;

/// How many steps are tried for further ways: those that end nowhere can be more than anybody can count.
const STEPS_MAX: usize = 20_000;

/// A way to a group by which a mapping applies.
pub(super) struct Way {
    pub(super) hit: Hit,
    /// The group of the mapping first, the one that lists the principal last.
    pub(super) path: Vec<i64>,
    /// The record since which all memberships on it hold.
    pub(super) since: i64,
}

/// Ways, and whether there are more.
#[derive(Default)]
pub(super) struct Ways {
    pub(super) found: Vec<Way>,
    pub(super) truncated: bool,
}

/// The shortest way of a member to each hit that has a group, however long it is, and further ones as far as
/// they can be counted: no hit is left without a reason because another one has many.
pub(super) fn ways(groups: &Groups, member: i64, hits: &[Hit]) -> Ways {
    let mut by_group: HashMap<i64, Vec<Hit>> = HashMap::new();
    for hit in hits {
        by_group.entry(hit.group.unwrap_or(member)).or_default().push(*hit);
    }
    by_group.remove(&member);
    if by_group.is_empty() {
        return Ways::default();
    }
    let first = first_steps(groups, member);
    let shortest = by_group.keys().filter_map(|group| Some((*group, shortest(&first, member, *group)?)));
    let shortest: HashMap<i64, (Vec<i64>, i64)> = shortest.collect();
    let mut found = vec![];
    for (group, (path, since)) in &shortest {
        let hits = by_group.get(group).into_iter().flatten();
        found.extend(hits.map(|hit| Way { hit: *hit, path: path.clone(), since: *since }));
    }
    let (room, useful) = (found.len() + FURTHER_MAX, below(groups, by_group.keys().copied()));
    let mut walk = Walk { groups, hits: by_group, shortest, useful, found, room, steps: 0, truncated: false };
    walk.climb(member, &mut vec![], 0);
    Ways { found: walk.found, truncated: walk.truncated }
}

/// By what membership each group around a member is first reached: the member of it, and since when.
fn first_steps(groups: &Groups, member: i64) -> HashMap<i64, (i64, i64)> {
    let (mut first, mut open) = (HashMap::new(), VecDeque::from([member]));
    while let Some(inner) = open.pop_front() {
        for edge in groups.of.get(&inner).into_iter().flatten() {
            if edge.group != member && !first.contains_key(&edge.group) {
                first.insert(edge.group, (inner, edge.from_seq));
                open.push_back(edge.group);
            }
        }
    }
    first
}

fn shortest(first: &HashMap<i64, (i64, i64)>, member: i64, group: i64) -> Option<(Vec<i64>, i64)> {
    let (mut path, mut since, mut at) = (vec![], 0, group);
    while at != member {
        let (inner, from_seq) = first.get(&at)?;
        path.push(at);
        since = since.max(*from_seq);
        at = *inner;
    }
    Some((path, since))
}

/// Some groups and every member that leads to them. Only these are climbed.
fn below(groups: &Groups, tops: impl Iterator<Item = i64>) -> HashSet<i64> {
    let mut members: HashMap<i64, Vec<i64>> = HashMap::new();
    for (member, edges) in &groups.of {
        edges.iter().for_each(|edge| members.entry(edge.group).or_default().push(*member));
    }
    let mut open: Vec<i64> = tops.collect();
    let mut seen: HashSet<i64> = open.iter().copied().collect();
    while let Some(group) = open.pop() {
        open.extend(members.get(&group).into_iter().flatten().filter(|member| seen.insert(**member)));
    }
    seen
}

/// The climb through every chain of groups.
struct Walk<'g> {
    groups: &'g Groups,
    hits: HashMap<i64, Vec<Hit>>,
    shortest: HashMap<i64, (Vec<i64>, i64)>,
    useful: HashSet<i64>,
    found: Vec<Way>,
    /// How many ways there may be.
    room: usize,
    steps: usize,
    truncated: bool,
}

impl Walk<'_> {
    fn climb(&mut self, member: i64, below: &mut Vec<i64>, since: i64) {
        let groups = self.groups;
        for edge in groups.of.get(&member).into_iter().flatten() {
            // Cycles are refused when they are written; one that is there all the same ends here.
            if !self.useful.contains(&edge.group) || below.contains(&edge.group) {
                continue;
            }
            if below.len() >= DEPTH_MAX || self.steps >= STEPS_MAX {
                self.truncated = true;
                return;
            }
            self.steps += 1;
            let since = since.max(edge.from_seq);
            below.push(edge.group);
            self.arrive(edge.group, below, since);
            self.climb(edge.group, below, since);
            below.pop();
        }
    }

    /// Notes a way, unless it is the shortest one, which is there already.
    fn arrive(&mut self, group: i64, below: &[i64], since: i64) {
        let is_known = |(path, _): &(Vec<i64>, i64)| path.iter().eq(below.iter().rev());
        if self.shortest.get(&group).is_some_and(is_known) {
            return;
        }
        for hit in self.hits.get(&group).into_iter().flatten() {
            if self.found.len() >= self.room {
                self.truncated = true;
                self.steps = STEPS_MAX;
                return;
            }
            self.found.push(Way { hit: *hit, path: below.iter().rev().copied().collect(), since });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::access::Edge;
    use super::*;

    const MEMBER: i64 = 1;

    /// A member in a ladder of so many steps, of so many groups each: all of a step are in all of the next.
    /// The numbers of the groups are `step * 10 + 0..width`, steps from 1 on.
    fn ladder(steps: i64, width: i64) -> Groups {
        let step = |step: i64| (0..width).map(move |n| step * 10 + n);
        let edges = |of: i64| step(of).map(|group| Edge { group, from_seq: group }).collect::<Vec<_>>();
        let mut of = HashMap::from([(MEMBER, edges(1))]);
        (1..steps).for_each(|at| of.extend(step(at).map(|group| (group, edges(at + 1)))));
        Groups { known: HashMap::new(), of }
    }

    fn hit(group: i64) -> Hit {
        Hit { mapping: usize::try_from(group).unwrap(), group: Some(group) }
    }

    fn found(groups: &Groups, tops: &[i64]) -> (Vec<Way>, bool) {
        let hits: Vec<Hit> = tops.iter().copied().map(hit).collect();
        let Ways { found, truncated } = ways(groups, MEMBER, &hits);
        (found, truncated)
    }

    #[test]
    fn every_way_is_found() {
        let (found, truncated) = found(&ladder(3, 2), &[30]);
        let mut paths: Vec<(Vec<i64>, i64)> = found.into_iter().map(|way| (way.path, way.since)).collect();
        paths.sort_unstable();
        let expected = [[30, 20, 10], [30, 20, 11], [30, 21, 10], [30, 21, 11]];
        assert_eq!(paths, expected.map(|path| (path.to_vec(), 30)));
        assert!(!truncated);
    }

    #[test]
    fn many_ways_to_one_group_hide_no_other() {
        // 2^14 ways to the first; the second is known at once, and reached last.
        let mut groups = ladder(15, 2);
        groups.of.get_mut(&MEMBER).unwrap().push(Edge { group: 7, from_seq: 7 });
        let (found, truncated) = found(&groups, &[150, 7]);
        let direct: Vec<&Way> = found.iter().filter(|way| way.hit == hit(7)).collect();
        assert_eq!(direct.iter().map(|way| (way.path.as_slice(), way.since)).collect::<Vec<_>>(), [(&[7][..], 7)]);
        assert_eq!(found.len(), 2 + FURTHER_MAX);
        assert!(truncated);
    }

    #[test]
    fn a_way_that_is_long_is_found_if_it_is_the_only_one() {
        let (found, truncated) = found(&ladder(150, 1), &[1_500]);
        assert_eq!(found.iter().map(|way| way.path.len()).collect::<Vec<_>>(), [150]);
        assert!(truncated, "further ones were not looked for at that depth");
    }

    #[test]
    fn ways_that_nobody_can_count_are_not_counted() {
        let (found, truncated) = found(&ladder(150, 5), &[1_500]);
        assert_eq!(found.iter().map(|way| way.path.len()).collect::<Vec<_>>(), [150]);
        assert!(truncated);
    }
}
