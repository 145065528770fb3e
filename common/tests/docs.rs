//! The documentation says what the code does: tables are held against it, and links lead somewhere.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

use boxoffice_common::{
    config::Config,
    domain::{
        attempt::AttemptStatus,
        difference::Difference,
        error::Code,
        event::EventType,
        incompatibility::Incompatibility,
        ledger::LedgerKind,
        refund::RefundStatus,
        state::{Status, Step},
        waiting::WaitingStatus,
    },
    failpoint,
};
use std::{
    cell::RefCell,
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

/// Adding a step without adding it here does not compile: `covers_every_step` matches them all.
const STEPS: [Step; 9] =
    [Step::Begin, Step::Await, Step::Resume, Step::Reconcile, Step::Review, Step::Succeed, Step::Fail, Step::Cancel, Step::Expire];

const fn covers_every_step(step: Step) {
    match step {
        Step::Begin | Step::Await | Step::Resume | Step::Reconcile | Step::Review => {}
        Step::Succeed | Step::Fail | Step::Cancel | Step::Expire => {}
    }
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The text under a heading, up to the next one of the same or a higher level.
fn section<'t>(text: &'t str, heading: &str) -> &'t str {
    let level = heading.chars().take_while(|c| *c == '#').count();
    let start = text.find(&format!("{heading}\n")).unwrap_or_else(|| panic!("no heading {heading:?}")) + heading.len();
    let rest = &text[start..];
    let ends = |line: &str| (1..=level).any(|level| line.starts_with(&format!("{} ", "#".repeat(level))));
    let mut at = 0;
    for line in rest.split_inclusive('\n') {
        if ends(line) {
            return &rest[..at];
        }
        at += line.len();
    }
    rest
}

/// The cells of the tables in a text, without their heads.
fn rows(text: &str) -> Vec<Vec<String>> {
    let cells = |line: &str| line.trim_matches('|').split('|').map(|cell| cell.trim().to_owned()).collect::<Vec<_>>();
    let lines: Vec<&str> = text.lines().collect();
    let is_head = |at: usize| lines.get(at + 1).is_some_and(|next| next.starts_with("|---"));
    let is_row = |at: &usize| lines[*at].starts_with('|') && !lines[*at].starts_with("|---") && !is_head(*at);
    (0..lines.len()).filter(is_row).map(|at| cells(lines[at])).collect()
}

/// The one name in backticks that a cell begins with.
fn name(cell: &str) -> String {
    let inner = cell.strip_prefix('`').and_then(|rest| rest.split_once('`'));
    inner.unwrap_or_else(|| panic!("no name in backticks: {cell:?}")).0.to_owned()
}

/// Rust sources under a folder, without what stands behind `#[cfg(test)]`.
fn sources(folder: &str) -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    let mut folders = vec![root().join(folder)];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = fs::read_to_string(&path).unwrap();
                let shipped = text.split("#[cfg(test)]").next().unwrap_or_default().to_owned();
                found.push((path, shipped));
            }
        }
    }
    found
}

/// What stands in quotes behind `before`, where it is a name.
fn quoted_after(text: &str, before: &str) -> BTreeSet<String> {
    let before = format!("{before}\"");
    let pieces = text.split(&before).skip(1).filter_map(|rest| rest.split_once('"'));
    let is_name = |name: &str| !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    pieces.map(|(name, _)| name.to_owned()).filter(|name| is_name(name)).collect()
}

fn assert_same(documented: &BTreeSet<String>, real: &BTreeSet<String>, page: &str) {
    let missing: Vec<_> = real.difference(documented).collect();
    let invented: Vec<_> = documented.difference(real).collect();
    assert!(missing.is_empty() && invented.is_empty(), "{page}: not documented {missing:?}, documented but not there {invented:?}");
}

#[test]
fn the_table_of_steps_is_the_state_machine() {
    STEPS.into_iter().for_each(covers_every_step);
    let page = read("docs/states.md");
    let written: Vec<String> = rows(section(&page, "## Every legal step"))
        .iter()
        .map(|row| format!("{} {} {}", name(&row[0]), name(&row[1]), name(&row[2])))
        .collect();
    let documented: BTreeSet<String> = written.iter().cloned().collect();
    assert_eq!(documented.len(), written.len(), "a step stands there twice");
    let legal = |from: Status, step: Step| from.after(step).ok().map(|to| format!("{from} {step:?} {to}"));
    let real = Status::ALL.into_iter().flat_map(|from| STEPS.into_iter().filter_map(move |step| legal(from, step)));
    assert_same(&documented, &real.collect(), "docs/states.md");
}

#[test]
fn the_table_of_states_says_which_end_and_which_are_told() {
    let page = read("docs/states.md");
    let rows = rows(section(&page, "## The states"));
    let documented: BTreeSet<String> = rows.iter().map(|row| name(&row[0])).collect();
    assert_same(&documented, &Status::ALL.iter().map(ToString::to_string).collect(), "docs/states.md");
    for row in rows {
        let status = Status::parse(&name(&row[0])).unwrap();
        assert_eq!(row[3] == "terminal", status.is_terminal(), "{status}");
        assert_eq!(row[4] == "yes", EventType::of(status).is_some(), "{status}");
    }
}

#[test]
fn the_table_of_attempts_says_which_are_open() {
    let page = read("docs/states.md");
    let rows = rows(section(&page, "## Attempts"));
    assert_eq!(rows.len(), 8);
    for row in rows {
        let status = AttemptStatus::parse(&name(&row[0])).unwrap_or_else(|| panic!("no such status: {row:?}"));
        assert_eq!(row[2] == "yes", status.is_open(), "{status:?}");
    }
}

#[test]
fn the_table_of_reasons_says_why_a_membership_does_not_pay() {
    let page = read("docs/memberships.md");
    let documented = rows(section(&page, "### Why one does not pay")).iter().map(|row| (name(&row[0]), name(&row[1]))).collect::<Vec<_>>();
    let real = Incompatibility::ALL.iter().map(|reason| (reason.as_str().to_owned(), reason.code().as_str().to_owned()));
    assert_eq!(documented, real.collect::<Vec<_>>());
}

#[test]
fn the_table_of_refunds_says_every_status() {
    let page = read("docs/states.md");
    let documented: BTreeSet<String> = rows(section(&page, "## Refunds")).iter().map(|row| name(&row[0])).collect();
    assert_same(&documented, &RefundStatus::ALL.iter().map(|status| status.as_str().to_owned()).collect(), "docs/states.md");
}

#[test]
fn every_difference_between_two_books_is_explained_and_whether_it_is_mended() {
    let page = read("docs/reconcile.md");
    let rows = rows(section(&page, "## What can differ"));
    let documented = rows.iter().map(|row| name(&row[0])).collect();
    assert_same(&documented, &Difference::ALL.iter().map(|difference| difference.as_str().to_owned()).collect(), "docs/reconcile.md");
    for (row, difference) in rows.iter().flat_map(|row| Difference::ALL.map(|difference| (row, difference))) {
        assert!(name(&row[0]) != difference.as_str() || (row[2] == "no") != difference.may_be_mended(), "{row:?}");
    }
}

#[test]
fn the_diagram_on_the_page_is_the_one_in_the_code() {
    // Remarks in brackets may differ.
    let steps = |text: &str| {
        let lines = text.lines().filter(|line| line.contains('►')).map(|line| line.trim_start_matches("//!"));
        lines.map(|line| line.split('(').next().unwrap_or(line).trim().to_owned()).collect::<Vec<_>>()
    };
    let drawn = steps(&read("docs/states.md"));
    assert_eq!(drawn, steps(&read("common/src/domain/state.rs")));
    assert!(drawn.len() > 5, "no diagram on the page");
}

#[test]
fn every_code_of_the_rules_is_explained() {
    let page = read("docs/errors.md");
    let documented = rows(section(&page, "## Codes of the rules")).iter().map(|row| name(&row[0])).collect();
    assert_same(&documented, &Code::ALL.iter().map(|code| code.as_str().to_owned()).collect(), "docs/errors.md");
}

#[test]
fn every_code_of_the_api_is_explained() {
    let page = read("docs/errors.md");
    let documented: BTreeSet<String> = rows(section(&page, "## Codes of the API")).iter().map(|row| name(&row[0])).collect();
    let mut real = BTreeSet::new();
    for (path, text) in sources("api/src") {
        real.extend(quoted_after(&text, "code: "));
        let own: &[&str] = match path.file_name().and_then(|name| name.to_str()) {
            Some("problem.rs") => &["=> "],
            Some("json.rs") => &["=> ("],
            Some("fields.rs") => &["Self::new("],
            _ => &[],
        };
        own.iter().for_each(|before| real.extend(quoted_after(&text, before)));
    }
    assert!(real.contains("json_too_deep") && real.contains("timed_out"), "the codes are found in another way now: {real:?}");
    let rules: BTreeSet<String> = Code::ALL.iter().map(|code| code.as_str().to_owned()).collect();
    assert_same(&documented, &real.difference(&rules).cloned().collect(), "docs/errors.md");
}

#[test]
fn the_states_of_a_waiting_list_and_every_event_are_explained() {
    let page = read("docs/waiting-list.md");
    let documented = rows(section(&page, "## The states of an entry")).iter().map(|row| name(&row[0])).collect();
    assert_same(&documented, &WaitingStatus::ALL.iter().map(|status| status.as_str().to_owned()).collect(), "docs/waiting-list.md");
    let page = read("docs/callbacks.md");
    let first_cells = rows(section(&page, "## Who is told")).into_iter().map(|row| row[0].clone());
    let documented = first_cells.flat_map(|cell| cell.split(", ").map(name).collect::<Vec<_>>()).collect();
    assert_same(&documented, &EventType::ALL.iter().map(|kind| kind.as_str().to_owned()).collect(), "docs/callbacks.md");
}

#[test]
fn every_failpoint_is_explained() {
    let page = read("docs/rules.md");
    let first_cells = rows(section(&page, "## Failpoints")).into_iter().map(|row| row[0].clone());
    let documented = first_cells.flat_map(|cell| cell.split(", ").map(name).collect::<Vec<_>>()).collect();
    assert_same(&documented, &failpoint::NAMES.iter().map(ToString::to_string).collect(), "docs/rules.md");
}

#[test]
fn the_ledgers_kinds_and_the_columns_of_its_export_are_explained() {
    let page = read("docs/ledger.md");
    let documented = rows(section(&page, "## Kinds")).iter().map(|row| name(&row[0])).collect();
    assert_same(&documented, &LedgerKind::ALL.iter().map(|kind| kind.as_str().to_owned()).collect(), "docs/ledger.md");
    // In their order: programs read by it.
    let code = read("api/src/routes/ledger/export.rs");
    let columns = code.split_once("COLUMNS: ").unwrap().1.split_once("];").unwrap().0;
    let real: Vec<String> = columns.split('"').skip(1).step_by(2).map(str::to_owned).collect();
    let documented: Vec<String> = rows(section(&page, "## Columns")).iter().map(|row| name(&row[0])).collect();
    assert!(real.len() > 10, "the columns are found in another way now: {real:?}");
    assert_eq!(documented, real);
}

#[test]
fn every_metric_is_explained() {
    let page = read("docs/operations.md");
    let documented = rows(section(&page, "## Metrics")).iter().map(|row| name(&row[0])).collect();
    let mut real = BTreeSet::new();
    for (_, text) in ["api/src", "worker/src", "common/src"].into_iter().flat_map(sources) {
        let names = text.split("\"boxoffice_").skip(1).filter_map(|rest| rest.split_once('"')).map(|(name, _)| name);
        real.extend(names.filter(|name| name.chars().all(|c| c.is_ascii_lowercase() || c == '_')).map(|name| format!("boxoffice_{name}")));
    }
    assert_same(&documented, &real, "docs/operations.md");
}

#[test]
fn every_rule_of_the_audit_is_explained() {
    let page = read("docs/operations.md");
    let documented = rows(section(&page, "## Audit")).iter().map(|row| name(&row[0])).collect();
    let mut real = quoted_after(&read("common/src/adapters/sql/audit.rs"), "name: ");
    let check = read("common/src/domain/seat_check.rs");
    real.extend(quoted_after(check.split("#[cfg(test)]").next().unwrap(), "contradiction("));
    assert!(real.contains("seats_level"), "the rules are found in another way now: {real:?}");
    assert_same(&documented, &real, "docs/operations.md");
}

#[test]
fn every_variable_of_the_configuration_stands_in_the_readme() {
    let page = read("README.md");
    let documented: BTreeSet<String> = rows(section(&page, "## Configuration")).iter().map(|row| name(&row[0])).collect();
    let config = read("common/src/config.rs");
    let config = config.split("#[cfg(test)]").next().unwrap();
    let real: BTreeSet<String> = ["text(", "number(", "millis("].iter().flat_map(|call| quoted_after(config, call)).collect();
    assert!(real.contains("DATABASE_URL") && real.contains("BOXOFFICE_LEASE_MS"), "variables are read in another way now: {real:?}");
    assert_eq!(real.difference(&documented).collect::<Vec<_>>(), Vec::<&String>::new(), "README.md does not know them");
    let everything: String = ["common/src", "cli/src"].into_iter().flat_map(sources).map(|(_, text)| text).collect();
    // The logging library reads it by itself.
    let invented = documented.iter().filter(|name| *name != "RUST_LOG" && !everything.contains(&format!("\"{name}\"")));
    assert_eq!(invented.collect::<Vec<_>>(), Vec::<&String>::new(), "nothing reads them");
}

/// `${NAME:-default}`, and where it ends.
fn interpolation(text: &str) -> Option<(&str, &str, usize)> {
    let (inner, _) = text.strip_prefix("${")?.split_once('}')?;
    let (name, default) = inner.split_once(":-")?;
    Some((name, default, inner.len() + 3))
}

/// What `compose.yaml` puts in where nothing is set, and the names of what can be.
fn with_defaults(text: &str) -> (String, BTreeSet<String>) {
    let (mut filled, mut names) = (String::new(), BTreeSet::new());
    let mut pieces = text.split("${");
    filled.push_str(pieces.next().unwrap());
    for piece in pieces {
        let whole = format!("${{{piece}");
        let (name, default, end) = interpolation(&whole).unwrap_or_else(|| panic!("no default: {whole}"));
        names.insert(name.to_owned());
        filled.push_str(default);
        filled.push_str(&whole[end..]);
    }
    (filled, names)
}

#[test]
fn what_compose_sets_is_known_and_right_and_what_it_reads_stands_in_the_readme() {
    let (compose, read_by_compose) = with_defaults(&read("compose.yaml"));
    let ours = compose.split_once("x-boxoffice:").unwrap().1.split_once("services:").unwrap().0;
    let pairs = ours.split_once("  environment:\n").unwrap().1.lines().filter_map(|line| line.trim().split_once(": "));
    let set: BTreeMap<String, String> = pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    let asked = RefCell::new(BTreeSet::new());
    let get = |name: &str| {
        asked.borrow_mut().insert(name.to_owned());
        set.get(name).cloned()
    };
    let config = Config::read(PathBuf::from("data"), &get).unwrap();
    assert!(config.database_url.is_some() && config.sandbox_webhook_secret.is_some(), "{set:?}");
    let asked = asked.into_inner();
    assert_eq!(set.keys().filter(|name| !asked.contains(*name)).collect::<Vec<_>>(), Vec::<&String>::new(), "nothing reads them");
    let readme = read("README.md");
    let sentence = readme.lines().find(|line| line.starts_with("`compose.yaml` reads ")).unwrap().split_once(". ").unwrap().0;
    let documented = sentence.split('`').skip(3).step_by(2).map(str::to_owned).collect();
    assert_same(&documented, &read_by_compose, "README.md");
}

/// Every page of the repository.
fn pages() -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![root()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            if path.is_dir() && !name.starts_with('.') && !matches!(name.as_str(), "target" | "data" | "node_modules") {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "md") {
                found.push(path);
            }
        }
    }
    found
}

/// Prose without code blocks: what looks like a link in those is none.
fn prose(text: &str) -> String {
    text.split("```").step_by(2).collect()
}

/// How a heading is called in a link.
fn anchor(heading: &str) -> String {
    let kept = heading.to_lowercase().chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_')).collect::<String>();
    kept.replace(' ', "-")
}

#[test]
fn every_relative_link_leads_somewhere() {
    let pages = pages();
    assert!(pages.len() > 5, "{pages:?}");
    let mut broken = Vec::new();
    for page in &pages {
        let text = prose(&fs::read_to_string(page).unwrap());
        for link in text.split("](").skip(1).filter_map(|rest| rest.split_once(')')).map(|(link, _)| link) {
            if link.contains("://") || link.starts_with("mailto:") {
                continue;
            }
            let (file, fragment) = link.split_once('#').unwrap_or((link, ""));
            let target = if file.is_empty() { page.clone() } else { page.parent().unwrap().join(file) };
            let is_there = target.exists();
            let headings = fs::read_to_string(&target).unwrap_or_default();
            let has = |fragment: &str| {
                headings.lines().filter(|line| line.starts_with('#')).any(|line| anchor(line.trim_start_matches('#').trim()) == fragment)
            };
            if !is_there || (!fragment.is_empty() && !has(fragment)) {
                broken.push(format!("{}: {link}", page.display()));
            }
        }
    }
    assert!(broken.is_empty(), "{broken:#?}");
}

/// Names such as `worker/src/charge.rs` or `settle::approved` in the walkthroughs: the file and the function must be there.
#[test]
fn every_place_named_in_the_architecture_is_there() {
    let text = prose(&read("ARCHITECTURE.md"));
    let mut wrong = Vec::new();
    let mut seen = 0;
    for place in text.split('`').skip(1).step_by(2).filter(|place| place.contains(".rs")) {
        seen += 1;
        let (file, function) = place.split_once(".rs").map(|(file, rest)| (format!("{file}.rs"), rest.strip_prefix(':'))).unwrap();
        match fs::read_to_string(root().join(&file)) {
            Err(_) => wrong.push(place.to_owned()),
            Ok(source) => {
                let is_there = |name: &str| {
                    ["fn ", "struct ", "enum ", "const ", "macro_rules! "].iter().any(|what| source.contains(&format!("{what}{name}")))
                };
                wrong.extend(function.filter(|name| !is_there(name)).map(|_| place.to_owned()));
            }
        }
    }
    assert!(seen > 20, "the walkthroughs name places as `file.rs:function`");
    assert!(wrong.is_empty(), "{wrong:?}");
}
