//! `baton budget`: what was spent beside its limits; raises them.

use bus_schemas::v1::{
    api::{BudgetRequest, ProjectView, SpendView},
    plan::{Budget, Span},
};

use super::{
    CliError, Context, Exit,
    args::BudgetArgs,
    money::{amount, bare, name, percent, usd},
    render::{span, table},
    style::{Paint, Style, clean_line},
    tell,
};

pub(super) async fn budget(context: &Context, args: &BudgetArgs) -> Result<Exit, CliError> {
    let ui = context.ui;
    let client = context.client()?;
    let (project, task) = tell::place(&client, &args.project).await?;
    let task = args.task.clone().or(task);
    let limits = limits(args)?;
    let view = if limits == Budget::default() {
        client.project(&project).await?
    } else {
        client
            .budget(&project, &BudgetRequest { task, budget: limits, by: context.person(), channel: "cli".to_owned() })
            .await?
    };
    if ui.json {
        ui.json_line(&view)?;
    } else {
        ui.data(&show(ui.out, &view))?;
    }
    Ok(Exit::Ok)
}

/// The limits that the flags name.
fn limits(args: &BudgetArgs) -> Result<Budget, CliError> {
    let usage = |detail: String| CliError::new(Exit::Usage, "usage", detail, None);
    if let Some(usd) = args.usd.filter(|usd| !usd.is_finite() || *usd < 0.0) {
        return Err(usage(format!("--usd {usd} is not an amount of US dollars")));
    }
    let wall = args.wall.clone().map(Span);
    if let Some(span) = wall.as_ref().filter(|span| span.as_ms().is_none()) {
        return Err(usage(format!("--wall {} is not a duration: write 90m or 2h", span.0)));
    }
    Ok(Budget { usd: args.usd, tokens: args.tokens, vm_seconds: args.vm_seconds, wall, turns: args.turns })
}

/// A line for the project and one for each task that spent or is limited.
fn show(style: Style, project: &ProjectView) -> String {
    let mut rows = vec![row(style, style.paint(Paint::Bold, "(project)"), &project.spend)];
    for task in project.tasks.iter().filter(|task| !task.spend.is_nothing()) {
        rows.push(row(style, clean_line(&task.key), &task.spend));
    }
    let mut text = table(style, &["TASK", "SPENT", "TOKENS", "CALLS", "VM TIME", "LIMITS"], &rows);
    let assumed = project.spend.price_assumed;
    if assumed {
        text.push_str("~ a model's price is not known; the dearest known one was taken\n");
    }
    text
}

fn row(style: Style, what: String, view: &SpendView) -> Vec<String> {
    let limits = view.limits.iter().map(|limit| {
        let text = format!("{} {} % of {}", name(limit.resource), percent(limit), bare(limit.resource, limit.limit));
        match limit.warned {
            0..80 => text,
            80..95 => style.paint(Paint::Yellow, text),
            _ => style.paint(Paint::Red, text),
        }
    });
    let assumed = if view.price_assumed { "~" } else { "" };
    vec![
        what,
        format!("{assumed}{}", usd(view.usd_nanos)),
        amount(view.tokens),
        view.calls.to_string(),
        span(view.vm_ms),
        limits.collect::<Vec<_>>().join(", "),
    ]
}
