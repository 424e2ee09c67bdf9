//! From a project's plan to the source's: a language plans as if its project were all there is, and here its paths get the directory
//! in which the project lies. Pure.

use hop3_plugin_api::{BuildCommand, BuildPlan, BuildStep, LayerPlan, Pick, RuntimeSpec};

use crate::place::join;

/// The plan of a project at `root`, for an app whose commands run in `directory`.
pub(crate) fn lift(mut plan: BuildPlan, root: &str, directory: &str) -> BuildPlan {
    directory.clone_into(&mut plan.runtime.workdir);
    if root.is_empty() {
        return plan;
    }
    for layer in &mut plan.layers {
        lift_layer(layer, root);
    }
    for step in plan.steps.iter_mut().chain(&mut plan.finish) {
        lift_step(step, root);
    }
    plan.env
        .values_mut()
        .for_each(|value| lift_text(value, root));
    lift_runtime(&mut plan.runtime, root);
    plan
}

fn lift_layer(layer: &mut LayerPlan, root: &str) {
    let paths = layer.inputs.iter_mut().chain(&mut layer.clones);
    paths
        .chain(&mut layer.target)
        .for_each(|path| *path = join(root, path));
    layer.directory = join(root, &layer.directory);
    for step in &mut layer.steps {
        lift_step(step, root);
    }
}

fn lift_runtime(runtime: &mut RuntimeSpec, root: &str) {
    let texts = runtime.env.values_mut().chain(&mut runtime.path);
    texts.for_each(|text| lift_text(text, root));
    let paths = runtime.writable.iter_mut().chain(&mut runtime.publish);
    paths.for_each(|path| *path = join(root, path));
}

fn lift_step(step: &mut BuildStep, root: &str) {
    match &mut step.command {
        BuildCommand::Argv(words) => words.iter_mut().for_each(|word| lift_text(word, root)),
        BuildCommand::Write { path, .. } => lift_text(path, root),
        // Relative to the working directory, which is the app's already.
        BuildCommand::Link(Pick { .. }) | BuildCommand::Shell(_) => {}
    }
}

fn lift_text(text: &mut String, root: &str) {
    if text.contains("${app}") {
        *text = text.replace("${app}", &format!("${{app}}/{root}"));
    }
}
