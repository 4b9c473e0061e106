//! Graphs: circles, unknown needs, layers, size.

use super::support::spec;
use crate::plan::{GraphError, TaskGraph};

#[test]
fn a_circle_is_named_in_the_order_it_is_needed() {
    let keys = ["a", "b", "c", "d"];
    // a needs c, b needs a, c needs b; d is behind the circle, not on it.
    let error = TaskGraph::build(&keys, &[vec![2], vec![0], vec![1], vec![2]]).unwrap_err();
    let GraphError::Cycle { keys: circle } = error else { panic!("{error}") };
    assert_eq!(circle.len(), 3);
    let needs = [("a", "c"), ("b", "a"), ("c", "b")];
    for (at, key) in circle.iter().enumerate() {
        let before = &circle[(at + circle.len() - 1) % circle.len()];
        assert!(needs.contains(&(key.as_str(), before.as_str())), "{circle:?}");
    }
}

#[test]
fn a_task_that_needs_itself_is_a_circle_of_one() {
    let error = TaskGraph::build(&["a"], &[vec![0]]).unwrap_err();
    assert_eq!(error, GraphError::Cycle { keys: vec!["a".to_owned()] });
}

#[test]
fn unknown_needs_and_doubles_are_named() {
    let unknown = TaskGraph::of(&[spec(1, &[7])]).unwrap_err();
    assert!(matches!(&unknown, GraphError::UnknownNeed { key, .. } if key == "t1"), "{unknown}");
    let double = TaskGraph::of(&[spec(1, &[]), spec(1, &[])]).unwrap_err();
    assert_eq!(double, GraphError::DuplicateTask { key: "t1".to_owned() });
}

#[test]
fn layers_follow_the_longest_way() {
    let graph = TaskGraph::of(&[spec(1, &[]), spec(2, &[1, 1]), spec(3, &[1]), spec(4, &[1, 2, 3]), spec(5, &[])]);
    let graph = graph.unwrap();
    assert_eq!(graph.layers(), vec![vec![0, 4], vec![1, 2], vec![3]]);
    assert_eq!(graph.successors(0), vec![1, 2, 3]);
    assert_eq!(graph.needs(1), vec![0]);
}

#[test]
fn ten_thousand_tasks_in_a_chain_need_no_deep_stack() {
    let mut specs: Vec<_> = (0..10_000_u128).map(|n| if n == 0 { spec(n, &[]) } else { spec(n, &[n - 1]) }).collect();
    assert_eq!(TaskGraph::of(&specs).unwrap().layers().len(), 10_000);
    specs[0] = spec(0, &[9_999]);
    let GraphError::Cycle { keys } = TaskGraph::of(&specs).unwrap_err() else { panic!("no circle") };
    assert_eq!(keys.len(), 10_000);
}
