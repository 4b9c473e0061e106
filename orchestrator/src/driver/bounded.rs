//! What an agent is told of the handoffs it builds on: all of them, within a budget that they share fairly.

use std::collections::BTreeMap;

use bus_schemas::{
    json::Json,
    v1::{agent::Report, task::NeedHandoff},
};

use crate::plan::policy::bounded;

/// The budget of all handoffs together, in bytes: about 24,000 tokens.
const ALL_BYTES: usize = 96 * 1024;
/// What one of them gets at least, in bytes, however many there are.
const LEAST_BYTES: usize = 512;

/// Cuts what is too long. Whatever needs less than its share leaves the rest to the others.
pub(super) fn fairly(needs: &mut BTreeMap<String, NeedHandoff>) {
    let mut sizes: Vec<(usize, String)> = needs.iter().map(|(key, need)| (size(need), key.clone())).collect();
    sizes.sort();
    let mut left = ALL_BYTES;
    let mut count = sizes.len();
    for (bytes, key) in sizes {
        let share = (left / count.max(1)).max(LEAST_BYTES);
        if bytes > share
            && let Some(need) = needs.get_mut(&key)
        {
            cut(need, share);
        }
        left = left.saturating_sub(bytes.min(share));
        count -= 1;
    }
}

fn size(need: &NeedHandoff) -> usize {
    serde_json::to_string(need).map_or(0, |text| text.len())
}

fn json_size(value: &Json) -> usize {
    serde_json::to_string(value).map_or(0, |text| text.len())
}

/// Keeps what tells most: half for the report, a quarter for the results, the rest for the summary and the paths.
fn cut(need: &mut NeedHandoff, share: usize) {
    let quarter = share / 4;
    need.summary = shortened(&need.summary, quarter / 2);
    cut_list(&mut need.changed_paths, quarter / 2);
    let mut left_out = 0;
    if need.result.as_ref().is_some_and(|result| json_size(result) > quarter / 2) {
        left_out += 1;
        need.result = None;
    }
    let mut kept = 0;
    for result in &mut need.results {
        kept += json_size(result);
        if kept > quarter / 2 {
            left_out += 1;
            *result = Json::Null;
        }
    }
    if let Some(report) = &mut need.report {
        cut_report(report, share / 2);
    }
    if left_out > 0 {
        need.summary.push_str("\n[a typed result is left out: it is too long; look at the files it handed on]");
    }
}

fn cut_report(report: &mut Report, share: usize) {
    let part = share / 6;
    report.goal = shortened(&report.goal, part / 2);
    report.done = shortened(&report.done, part * 2);
    cut_list(&mut report.must_know, part + part / 2);
    cut_list(&mut report.open_questions, part / 2);
    cut_list(&mut report.artifacts, part / 2);
    let mut left = part;
    report.decisions.retain_mut(|choice| {
        choice.what = shortened(&choice.what, left / 2);
        choice.why = shortened(&choice.why, left / 2);
        let bytes = choice.what.len() + choice.why.len();
        let fits = bytes <= left && !choice.what.is_empty();
        left = left.saturating_sub(bytes);
        fits
    });
    if report.result.as_ref().is_some_and(|result| json_size(result) > part) {
        report.result = None;
    }
}

fn shortened(text: &str, bytes: usize) -> String {
    if text.len() <= bytes {
        return text.to_owned();
    }
    let mut kept = bounded(text, bytes);
    kept.push_str(" […]");
    kept
}

fn cut_list(list: &mut Vec<String>, bytes: usize) {
    let mut left = bytes;
    let all = list.len();
    let kept = list.iter().take_while(|text| {
        let fits = text.len() <= left;
        left = left.saturating_sub(text.len() + 3);
        fits
    });
    let kept = kept.count();
    list.truncate(kept);
    if kept < all {
        list.push(format!("[… and {} more]", all - kept));
    }
}

#[cfg(test)]
mod tests {
    use bus_schemas::v1::{agent::Choice, task::TaskState};

    use super::*;

    fn need(bytes: usize) -> NeedHandoff {
        let text = "ä".repeat(bytes / 2);
        NeedHandoff {
            state: TaskState::Completed,
            summary: text.clone(),
            result: Some(Json::Text(text.clone())),
            changed_paths: (0..bytes / 20).map(|number| format!("path/number/{number:06}")).collect(),
            results: vec![Json::Text(text.clone()); 2],
            report: Some(Report {
                goal: text.clone(),
                done: text.clone(),
                decisions: vec![Choice { what: text.clone(), why: text.clone() }; 3],
                artifacts: vec![text.clone(); 3],
                open_questions: vec![text.clone(); 3],
                must_know: vec![text.clone(); 3],
                result: Some(Json::Text(text)),
            }),
        }
    }

    #[test]
    fn what_fits_is_left_alone() {
        let mut needs = BTreeMap::from([("a".to_owned(), need(200)), ("b".to_owned(), need(400))]);
        let before = needs.clone();
        fairly(&mut needs);
        assert_eq!(needs, before);
    }

    #[test]
    fn a_long_one_is_cut_and_the_short_ones_stay_whole() {
        let mut needs = BTreeMap::from([("long".to_owned(), need(300_000)), ("short".to_owned(), need(400))]);
        let short = needs["short"].clone();
        fairly(&mut needs);
        assert_eq!(needs["short"], short);
        assert!(size(&needs["long"]) < ALL_BYTES, "{}", size(&needs["long"]));
        let report = needs["long"].report.clone().unwrap();
        assert!(report.done.starts_with('ä') && report.done.ends_with("[…]"));
        assert!(needs["long"].changed_paths.last().unwrap().contains("more]"));
    }

    #[test]
    fn many_share_the_budget() {
        let mut needs: BTreeMap<String, NeedHandoff> =
            (0..50).map(|number| (format!("n{number}"), need(60_000))).collect();
        fairly(&mut needs);
        let all: usize = needs.values().map(size).sum();
        assert!(all < ALL_BYTES * 2, "{all}");
    }
}
