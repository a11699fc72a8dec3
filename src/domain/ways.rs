//! The ways through groups, from a principal up to the groups that give it something.

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};

use super::facts::{Edge, Groups};

/// How many reasons by further ways are listed for one principal.
const FURTHER_MAX: usize = 1_000;

/// How many groups inside each other a further way has.
const DEPTH_MAX: usize = 100;

/// How many steps are tried for further ways.
const STEPS_MAX: usize = 20_000;

/// How many groups the shortest ways have together; longer ones are shown by their two ends.
const SHOWN_MAX: usize = 100_000;

/// A mapping that applies, and the group by which it does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Hit {
    /// The place of the mapping in its policy.
    pub mapping: usize,
    /// The surrogate key of the group.
    pub group: Option<i64>,
}

/// A way to a group by which a mapping applies.
pub(super) struct Way {
    pub(super) hit: Hit,
    /// The group of the mapping first, the one that lists the principal last.
    pub(super) path: Vec<i64>,
    /// The record since which all memberships on it hold.
    pub(super) since: i64,
    /// Whether a shorter one leads to the same.
    pub(super) is_further: bool,
}

/// Ways, and whether there are more.
#[derive(Default)]
pub(super) struct Ways {
    pub(super) found: Vec<Way>,
    pub(super) truncated: bool,
    /// What it took to find them.
    pub(super) steps: usize,
}

/// The members that lead to the groups in question, with the memberships by which they do.
type Edges = HashMap<i64, Vec<Edge>>;

/// The shortest way of a member to each hit that has a group, however long it is, and further ones as far as
/// they can be counted: no hit is left without a reason because another one has many.
pub(super) fn ways(groups: &Groups, member: i64, hits: &[Hit]) -> Ways {
    let mut by_group: BTreeMap<i64, Vec<Hit>> = BTreeMap::new();
    for hit in hits {
        hit.group.into_iter().for_each(|group| by_group.entry(group).or_default().push(*hit));
    }
    if by_group.is_empty() {
        return Ways::default();
    }
    let edges = leading(groups, by_group.keys().copied());
    let count = count(&edges, member, &by_group);
    let shortest = shortest(&edges, member);
    let mut walk = Walk { edges: &edges, hits: by_group, shortest, found: vec![], room: 0, steps: 0 };
    let is_shortened = walk.note_shortest();
    walk.room = walk.found.len() + FURTHER_MAX;
    if count > walk.found.len() as u64 {
        walk.climb(member, &mut vec![], 0);
    }
    let truncated = is_shortened || count > walk.found.len() as u64;
    Ways { found: walk.found, truncated, steps: walk.steps }
}

/// Only these are climbed: the ways through groups that lead nowhere can be more than anybody can count.
fn leading(groups: &Groups, tops: impl Iterator<Item = i64>) -> Edges {
    let useful = below(groups, tops);
    let of = |(member, edges): (&i64, &Vec<Edge>)| {
        let edges: Vec<Edge> = edges.iter().filter(|edge| useful.contains(&edge.group)).copied().collect();
        (!edges.is_empty()).then_some((*member, edges))
    };
    groups.of.iter().filter_map(of).collect()
}

/// How many reasons there are: the ways to a group are those to all that it lists. Groups are in no circle:
/// that is refused when they are written.
fn count(edges: &Edges, member: i64, hits: &BTreeMap<i64, Vec<Hit>>) -> u64 {
    let out = |of: &i64| edges.get(of).into_iter().flatten().map(|edge| edge.group);
    let (mut seen, mut open, mut missing) = (HashSet::from([member]), vec![member], HashMap::<i64, usize>::new());
    while let Some(inner) = open.pop() {
        for group in out(&inner) {
            *missing.entry(group).or_default() += 1;
            if seen.insert(group) {
                open.push(group);
            }
        }
    }
    let (mut ways, mut ready) = (HashMap::from([(member, 1_u64)]), vec![member]);
    while let Some(inner) = ready.pop() {
        let own = ways.get(&inner).copied().unwrap_or_default();
        for group in out(&inner) {
            let all = ways.entry(group).or_default();
            *all = all.saturating_add(own);
            if let Some(missing) = missing.get_mut(&group) {
                *missing -= 1;
                if *missing == 0 {
                    ready.push(group);
                }
            }
        }
    }
    let reasons = |(group, hits): (&i64, &Vec<Hit>)| ways.get(group).map_or(0, |n| n.saturating_mul(hits.len() as u64));
    hits.iter().map(reasons).fold(0, u64::saturating_add)
}

/// The shortest way to a group.
#[derive(Clone, Copy)]
struct Shortest {
    /// The member by which it is reached.
    inner: i64,
    /// The group at its other end, which lists the principal.
    last: i64,
    /// The record since which all memberships on it hold.
    since: i64,
    /// How many groups it has.
    length: usize,
}

/// The shortest way to each group around a member.
fn shortest(edges: &Edges, member: i64) -> HashMap<i64, Shortest> {
    let (mut first, mut open) = (HashMap::<i64, Shortest>::new(), VecDeque::from([member]));
    while let Some(inner) = open.pop_front() {
        let way = first.get(&inner).copied();
        for edge in edges.get(&inner).into_iter().flatten() {
            if edge.group != member && !first.contains_key(&edge.group) {
                let since = way.map_or(0, |way| way.since).max(edge.from_seq);
                let last = way.map_or(edge.group, |way| way.last);
                let length = way.map_or(0, |way| way.length) + 1;
                first.insert(edge.group, Shortest { inner, last, since, length });
                open.push_back(edge.group);
            }
        }
    }
    first
}

/// Some groups and every member that leads to them.
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
struct Walk<'e> {
    edges: &'e Edges,
    hits: BTreeMap<i64, Vec<Hit>>,
    shortest: HashMap<i64, Shortest>,
    found: Vec<Way>,
    /// How many ways there may be.
    room: usize,
    steps: usize,
}

impl Walk<'_> {
    /// Notes the shortest ways, shorter ones first; whether any of them is not shown whole.
    fn note_shortest(&mut self) -> bool {
        let (mut room, mut is_shortened) = (SHOWN_MAX, false);
        let mut all: Vec<(i64, Shortest, &Vec<Hit>)> = vec![];
        for (group, hits) in &self.hits {
            all.extend(self.shortest.get(group).map(|way| (*group, *way, hits)));
        }
        all.sort_by_key(|(_, way, _)| way.length);
        for (top, way, hits) in all {
            let length = way.length * hits.len();
            let is_long = way.length > 2 && length > room;
            room = room.saturating_sub(length);
            is_shortened |= is_long;
            let path = if is_long { vec![top, way.last] } else { self.path(top).collect() };
            let way = |hit: &Hit| Way { hit: *hit, path: path.clone(), since: way.since, is_further: false };
            self.found.extend(hits.iter().map(way));
        }
        is_shortened
    }

    /// The groups on the shortest way to a group, itself first.
    fn path(&self, top: i64) -> impl Iterator<Item = i64> {
        let known = |group: &i64| self.shortest.contains_key(group);
        std::iter::successors(Some(top), |group| self.shortest.get(group).map(|way| way.inner)).take_while(known)
    }

    fn climb(&mut self, member: i64, below: &mut Vec<i64>, since: i64) {
        let edges = self.edges;
        for edge in edges.get(&member).into_iter().flatten() {
            if below.len() >= DEPTH_MAX || self.steps >= STEPS_MAX || self.found.len() >= self.room {
                return;
            }
            self.steps += 1;
            // A circle that is there all the same ends here.
            if below.contains(&edge.group) {
                continue;
            }
            let since = since.max(edge.from_seq);
            below.push(edge.group);
            self.arrive(edge.group, below, since);
            self.climb(edge.group, below, since);
            below.pop();
        }
    }

    /// Notes a way, unless it is the shortest one, which is there already.
    fn arrive(&mut self, group: i64, below: &[i64], since: i64) {
        let is_as_long = self.shortest.get(&group).is_some_and(|way| way.length == below.len());
        if is_as_long && self.path(group).eq(below.iter().rev().copied()) {
            return;
        }
        for hit in self.hits.get(&group).into_iter().flatten().take(self.room - self.found.len()) {
            let path = below.iter().rev().copied().collect();
            self.found.push(Way { hit: *hit, path, since, is_further: true });
        }
    }
}

#[cfg(test)]
mod tests {
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
        let Ways { found, truncated, .. } = ways(groups, MEMBER, &hits);
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
        assert!(!truncated);
    }

    #[test]
    fn ways_that_nobody_can_count_are_not_counted() {
        let (found, truncated) = found(&ladder(150, 5), &[1_500]);
        assert_eq!(found.iter().map(|way| way.path.len()).collect::<Vec<_>>(), [150]);
        assert!(truncated);
    }

    #[test]
    fn what_leads_nowhere_costs_nothing() {
        // 2^100 ways to the top, and as many to groups that nothing maps.
        let mut groups = ladder(101, 2);
        for group in 10..1_000 {
            let lost = (0..50).map(|n| Edge { group: 100_000 + group * 50 + n, from_seq: 1 });
            if let Some(edges) = groups.of.get_mut(&group) {
                edges.splice(0..0, lost);
            }
        }
        let hits = [hit(1_010)];
        let ways = ways(&groups, MEMBER, &hits);
        assert_eq!((ways.found[0].path.len(), ways.truncated, ways.steps), (101, true, STEPS_MAX));
        let few = super::ways(&groups, MEMBER, &[hit(20)]);
        assert_eq!((few.found.len(), few.truncated, few.steps), (2, false, 4));
    }

    #[test]
    fn very_long_ways_are_shown_by_their_ends() {
        // 500 * 501 / 2 groups on the ways to each of 500.
        let tops: Vec<i64> = (1..=500).map(|step| step * 10).collect();
        let (found, truncated) = found(&ladder(500, 1), &tops);
        assert!(truncated);
        assert_eq!(found.len(), tops.len());
        let shown: usize = found.iter().map(|way| way.path.len()).sum();
        assert!((SHOWN_MAX - 500..SHOWN_MAX + 1_000).contains(&shown), "{shown}");
        let of = |top: i64| found.iter().find(|way| way.hit == hit(top)).map(|way| (way.path.clone(), way.since));
        assert_eq!(of(20), Some((vec![20, 10], 20)));
        assert_eq!(of(5_000), Some((vec![5_000, 10], 5_000)));
    }
}
