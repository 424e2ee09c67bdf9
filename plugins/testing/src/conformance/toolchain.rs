//! The promises of a language toolchain.

use std::path::{Component, Path};

use hop3_plugin_api::serde_json;
use hop3_plugin_api::{
    BuildCommand, BuildPlan, BuildStep, LanguageToolchain, LayerMode, LayerPlan, PlanContext,
    Verdict,
};

/// The source is accepted, the plan is the same twice and survives JSON, and it names only what it declares.
pub fn conforms(toolchain: &dyn LanguageToolchain, cx: &PlanContext<'_>) -> BuildPlan {
    assert_eq!(
        toolchain.accept(cx),
        Verdict::Accept,
        "the source is not accepted"
    );
    assert!(
        !toolchain.detects().is_empty(),
        "it does not say what it looks for"
    );
    let plan = toolchain.plan(cx).expect("an accepted source has a plan");
    let again = toolchain.plan(cx).expect("an accepted source has a plan");
    assert_eq!(plan, again, "two plans of one source differ");
    assert_eq!(plan, through_json(&plan), "the plan changes in JSON");
    assert_eq!(
        plan.toolchain,
        toolchain.name(),
        "the plan names another maker"
    );
    plan.layers.iter().for_each(check_layer);
    check_references(&plan);
    plan
}

fn through_json(plan: &BuildPlan) -> BuildPlan {
    let text = serde_json::to_string(plan).expect("a plan serialises");
    serde_json::from_str(&text).expect("a plan reads back")
}

fn check_layer(layer: &LayerPlan) {
    let name = &layer.name;
    assert!(!layer.steps.is_empty(), "layer `{name}` is made by nothing");
    for path in layer
        .inputs
        .iter()
        .chain(&layer.target)
        .chain(&layer.clones)
    {
        let inside = Path::new(path)
            .components()
            .all(|part| matches!(part, Component::Normal(_)));
        assert!(inside, "`{path}` of layer `{name}` leaves the source");
    }
    let goes_somewhere = layer.target.is_some() == layer.clones.is_empty();
    assert_eq!(
        layer.mode == LayerMode::Clone,
        goes_somewhere,
        "layer `{name}`: a cloned layer has either a target or parts, a mounted one has neither"
    );
}

/// Every `${layer:NAME}` names a layer of the plan; a layer is made with tools of the plan.
fn check_references(plan: &BuildPlan) {
    let known: Vec<&str> = plan
        .layers
        .iter()
        .map(|layer| layer.name.as_str())
        .collect();
    for tool in plan.layers.iter().flat_map(|layer| &layer.tools) {
        let planned = plan.tools.iter().any(|it| it.program == *tool);
        assert!(planned, "`{tool}` of a layer is no tool of the plan");
    }
    for text in texts(plan) {
        for rest in text.split("${layer:").skip(1) {
            let name = rest.split('}').next().unwrap_or_default();
            assert!(known.contains(&name), "`{text}` uses no layer of this plan");
        }
    }
}

fn texts(plan: &BuildPlan) -> Vec<&str> {
    let layer_steps = plan.layers.iter().flat_map(|layer| &layer.steps);
    let steps = layer_steps.chain(&plan.steps).chain(&plan.finish);
    let commands = steps.flat_map(words);
    commands
        .chain(plan.env.values().map(String::as_str))
        .chain(plan.runtime.env.values().map(String::as_str))
        .chain(plan.runtime.path.iter().map(String::as_str))
        .collect()
}

fn words(step: &BuildStep) -> Vec<&str> {
    match &step.command {
        BuildCommand::Argv(words) => words.iter().map(String::as_str).collect(),
        BuildCommand::Shell(command) => vec![command],
        BuildCommand::Write { path, .. } => vec![path],
        BuildCommand::Link(pick) => vec![&pick.link],
    }
}
