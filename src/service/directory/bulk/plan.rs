//! In which order a job's operations run: as written, but none before what it refers to.

use std::cmp::Reverse;
use std::collections::hash_map::Entry;
use std::collections::{BTreeSet, BinaryHeap, HashMap, HashSet};

use serde_json::Value;
use serde_json::value::RawValue;

use crate::scim::json::{self, Limits};
use crate::scim::tolerance::{Tolerance, Tolerances};
use crate::scim::{self, Error};
use crate::service::directory::bulk::references;

/// What to do next.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::service::directory::bulk) enum Step {
    /// An operation all of whose references are known.
    One(usize),
    /// Operations that refer to each other in a circle.
    Circle(Vec<usize>),
    /// An operation that refers to one that failed or does not exist, with its bulkId.
    Orphan(usize, String),
}

/// The operations that have not run yet, and who waits for whom.
#[derive(Debug)]
pub(in crate::service::directory::bulk) struct Plan {
    nodes: Vec<Node>,
    ready: BinaryHeap<Reverse<usize>>,
    pending: BTreeSet<usize>,
}

#[derive(Debug, Default)]
struct Node {
    /// Operations of this job that it refers to and that have not run.
    waits_for: HashSet<usize>,
    /// Operations that wait for it.
    awaited_by: Vec<usize>,
    /// A bulkId that it refers to and that will never be known.
    missing: Option<String>,
    bulk_id: Option<String>,
}

impl Plan {
    /// Reads who refers to whom. An operation that cannot be read refers to nobody; it fails when its
    /// turn comes.
    ///
    /// # Errors
    /// 400 if two operations have the same bulkId: nobody could tell which is meant. Where the dialect bears it, only
    /// those fail that refer to it.
    pub(in crate::service::directory::bulk) fn new(
        operations: &[&RawValue],
        tolerances: &mut Tolerances,
    ) -> Result<Plan, Error> {
        let mut by_bulk_id: HashMap<String, (usize, bool)> = HashMap::new();
        let mut nodes: Vec<Node> = Vec::with_capacity(operations.len());
        let mut references = Vec::with_capacity(operations.len());
        for (index, raw) in operations.iter().enumerate() {
            let (bulk_id, creates, found) = read(raw);
            if let Some(bulk_id) = bulk_id.clone() {
                let detail = format!("Operations[{index}].bulkId: {bulk_id} is there twice");
                match by_bulk_id.entry(bulk_id) {
                    Entry::Occupied(mut other) if tolerances.allow(Tolerance::SharedBulkId) => {
                        other.get_mut().1 = false
                    }
                    Entry::Occupied(_) => return Err(scim::Error::value(detail)),
                    Entry::Vacant(place) => _ = place.insert((index, creates)),
                }
            }
            nodes.push(Node { bulk_id, ..Node::default() });
            references.push(found);
        }
        for (index, found) in references.into_iter().enumerate() {
            for name in found {
                let target = by_bulk_id.get(&name).filter(|(_, creates)| *creates).map(|(target, _)| *target);
                let Some(node) = nodes.get_mut(index) else { continue };
                match target {
                    None => node.missing = node.missing.take().or(Some(name)),
                    Some(target) => {
                        if node.waits_for.insert(target)
                            && let Some(awaited) = nodes.get_mut(target)
                        {
                            awaited.awaited_by.push(index);
                        }
                    }
                }
            }
        }
        let ready = nodes.iter().enumerate().filter(|(_, n)| n.waits_for.is_empty()).map(|(i, _)| Reverse(i)).collect();
        let pending = (0..nodes.len()).collect();
        Ok(Plan { nodes, ready, pending })
    }

    /// The next operations that can run one after the other in one commit: in the order in which they were
    /// written, up to the first that waits or has nothing to wait for.
    pub(in crate::service::directory::bulk) fn batch(&mut self, most: usize) -> Vec<usize> {
        let mut batch = vec![];
        for index in self.pending.iter().copied().take(most) {
            let is_next = self.ready.peek() == Some(&Reverse(index));
            if !is_next || self.nodes.get(index).is_none_or(|node| node.missing.is_some()) {
                break;
            }
            self.ready.pop();
            batch.push(index);
        }
        batch
    }

    /// The next step; `None` when everything has run.
    pub(in crate::service::directory::bulk) fn next(&mut self) -> Option<Step> {
        while let Some(Reverse(index)) = self.ready.pop() {
            // Members of a circle become ready one by one while the whole of it is noted as run.
            if !self.pending.contains(&index) {
                continue;
            }
            let missing = self.nodes.get_mut(index).and_then(|node| node.missing.take());
            return Some(missing.map_or(Step::One(index), |missing| Step::Orphan(index, missing)));
        }
        let circle = self.circle()?;
        let missing = circle.iter().find_map(|index| self.nodes.get(*index)?.missing.clone());
        match (missing, circle.first()) {
            // Whoever refers to the outside in vain takes the circle down with it, one after the other.
            (Some(missing), Some(first)) => {
                let first =
                    *circle.iter().find(|i| self.nodes.get(**i).is_some_and(|n| n.missing.is_some())).unwrap_or(first);
                Some(Step::Orphan(first, missing))
            }
            _ => Some(Step::Circle(circle)),
        }
    }

    /// Notes that an operation has run; whoever waited only for it is ready.
    pub(in crate::service::directory::bulk) fn done(&mut self, index: usize, succeeded: bool) {
        if !self.pending.remove(&index) {
            return;
        }
        let Some(node) = self.nodes.get_mut(index) else { return };
        let bulk_id = node.bulk_id.clone();
        for waiting in std::mem::take(&mut node.awaited_by) {
            let Some(other) = self.nodes.get_mut(waiting) else { continue };
            if !succeeded {
                other.missing = other.missing.take().or_else(|| bulk_id.clone());
            }
            if other.waits_for.remove(&index) && other.waits_for.is_empty() && self.pending.contains(&waiting) {
                self.ready.push(Reverse(waiting));
            }
        }
    }

    /// A circle that waits for nothing outside itself: the first strongly connected component that
    /// Tarjan's algorithm completes.
    fn circle(&self) -> Option<Vec<usize>> {
        let start = *self.pending.first()?;
        let mut search = Tarjan { plan: self, order: HashMap::new(), low: HashMap::new(), stack: vec![] };
        search.visit(start)
    }
}

struct Tarjan<'p> {
    plan: &'p Plan,
    order: HashMap<usize, usize>,
    low: HashMap<usize, usize>,
    stack: Vec<usize>,
}

impl Tarjan<'_> {
    /// Depth is bounded by the number of operations in a job.
    fn visit(&mut self, node: usize) -> Option<Vec<usize>> {
        let number = self.order.len();
        self.order.insert(node, number);
        self.low.insert(node, number);
        self.stack.push(node);
        let mut targets: Vec<usize> = self.plan.nodes.get(node)?.waits_for.iter().copied().collect();
        targets.sort_unstable();
        for target in targets {
            if !self.order.contains_key(&target)
                && let Some(found) = self.visit(target)
            {
                return Some(found);
            }
            let reached = self.low.get(&target).copied().unwrap_or(number);
            self.low.entry(node).and_modify(|low| *low = reached.min(*low));
        }
        if self.low.get(&node) != Some(&number) {
            return None;
        }
        let from = self.stack.iter().position(|other| *other == node)?;
        let mut circle = self.stack.split_off(from);
        circle.sort_unstable();
        Some(circle)
    }
}

/// The bulkId of an operation, whether it creates something, and which bulkIds it refers to.
fn read(raw: &RawValue) -> (Option<String>, bool, Vec<String>) {
    // What the dialect bears is asked when the operation is carried out.
    let limits = Limits { repeated: Some("active"), unstorable: true, ..Limits::default() };
    let Ok(value) = json::parse(raw.get().as_bytes(), &limits) else { return (None, false, vec![]) };
    let Value::Object(mut operation) = value else { return (None, false, vec![]) };
    let mut member = |name: &str| {
        let key = operation.keys().find(|key| key.eq_ignore_ascii_case(name))?.clone();
        operation.get_mut(&key).map(Value::take)
    };
    let mut text = |name: &str| match member(name) {
        Some(Value::String(text)) => Some(text),
        _ => None,
    };
    let mut found = vec![];
    if let Some(path) = text("path") {
        references::find_in_path(&path, &mut found);
    }
    // An empty one names nothing, so several of them are no contradiction.
    let (method, bulk_id) = (text("method").unwrap_or_default(), text("bulkId").filter(|id| !id.is_empty()));
    // RFC 7644 §3.7: a DELETE has none, and what it has is not read.
    if let Some(data) = member("data").filter(|_| !method.eq_ignore_ascii_case("DELETE")) {
        references::find(data, &mut found);
    }
    (bulk_id, method.eq_ignore_ascii_case("POST"), found)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::scim::tolerance::Dialect;

    /// Runs a plan in which the named operations fail; gives the steps.
    fn check(operations: Value, failing: &[usize], expected: &[Step]) {
        let raw: Vec<Box<RawValue>> =
            operations.as_array().unwrap().iter().map(|o| serde_json::value::to_raw_value(o).unwrap()).collect();
        let operations: Vec<_> = raw.iter().map(AsRef::as_ref).collect();
        let mut plan = Plan::new(&operations, &mut Tolerances::new(Dialect::Auto)).unwrap();
        let mut steps = vec![];
        while let Some(step) = plan.next() {
            match &step {
                Step::One(index) => plan.done(*index, !failing.contains(index)),
                Step::Orphan(index, _) => plan.done(*index, false),
                Step::Circle(indices) => indices.iter().for_each(|index| plan.done(*index, true)),
            }
            steps.push(step);
        }
        assert_eq!(steps, expected);
    }

    fn post(bulk_id: &str, refers: &[&str]) -> Value {
        let members: Vec<Value> = refers.iter().map(|name| json!({"value": format!("bulkId:{name}")})).collect();
        json!({"method": "POST", "path": "/Groups", "bulkId": bulk_id, "data": {"members": members}})
    }

    #[test]
    fn operations_run_as_written_unless_they_refer_forward() {
        check(json!([post("a", &[]), post("b", &["a"])]), &[], &[Step::One(0), Step::One(1)]);
        check(
            json!([post("a", &["c"]), post("b", &[]), post("c", &[])]),
            &[],
            &[Step::One(1), Step::One(2), Step::One(0)],
        );
        let patch = json!({"method": "PATCH", "path": "/Groups/bulkId:a", "data": {}});
        check(json!([patch, post("a", &[])]), &[], &[Step::One(1), Step::One(0)]);
    }

    #[test]
    fn who_refers_in_vain_is_an_orphan() {
        check(json!([post("a", &["x"])]), &[], &[Step::Orphan(0, "x".into())]);
        let chain = json!([post("a", &[]), post("b", &["a"]), post("c", &["b"])]);
        check(chain, &[0], &[Step::One(0), Step::Orphan(1, "a".into()), Step::Orphan(2, "b".into())]);
    }

    #[test]
    fn circles_run_together_and_what_hangs_on_them_after() {
        check(json!([post("a", &["b"]), post("b", &["a"])]), &[], &[Step::Circle(vec![0, 1])]);
        check(json!([post("a", &["a"])]), &[], &[Step::Circle(vec![0])]);
        let tail = json!([post("t", &["a"]), post("a", &["b"]), post("b", &["c"]), post("c", &["a"])]);
        check(tail, &[], &[Step::Circle(vec![1, 2, 3]), Step::One(0)]);
        let doomed = json!([post("a", &["b", "x"]), post("b", &["a"])]);
        check(doomed, &[], &[Step::Orphan(0, "x".into()), Step::Orphan(1, "a".into())]);
    }

    #[test]
    fn what_a_deletion_carries_refers_to_nobody() {
        let data = json!({"members": [{"value": "bulkId:x"}]});
        check(json!([{"method": "delete", "path": "/Users/7", "data": data}]), &[], &[Step::One(0)]);
    }

    #[test]
    fn a_bulk_id_names_one_operation() {
        let raw = [post("a", &[]), post("a", &[])].map(|o| serde_json::value::to_raw_value(&o).unwrap());
        let operations: Vec<_> = raw.iter().map(AsRef::as_ref).collect();
        let error = Plan::new(&operations, &mut Tolerances::new(Dialect::Rfc)).unwrap_err();
        assert_eq!(error.detail, "Operations[1].bulkId: a is there twice");
    }

    #[test]
    fn a_shared_bulk_id_names_nobody() {
        let shared = json!([post("a", &[]), post("a", &[]), post("b", &["a"]), post("c", &["b"]), post("d", &[])]);
        let vain = [Step::Orphan(2, "a".into()), Step::Orphan(3, "b".into())];
        let [first, second] = vain;
        check(shared, &[], &[Step::One(0), Step::One(1), first, second, Step::One(4)]);
    }
}
