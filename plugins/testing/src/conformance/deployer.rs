//! The promises of a deployer.

use std::collections::BTreeSet;

use hop3_plugin_api::{
    Context, Counts, Deployer, DeploymentInfo, InstanceId, InstanceStatus, Launch, Liveness,
};

/// Deploying twice is deploying once, scaling leaves the others alone, stopping may be repeated and leaves nothing running.
pub async fn conforms(
    deployer: &dyn Deployer,
    cx: &Context<'_>,
    launch: &Launch<'_>,
    counts: &Counts,
) {
    let kind = &launch.artifact.kind;
    assert!(
        deployer.accept(&cx.plan, kind).accepts(),
        "a {kind} artifact is not accepted"
    );
    deploying_twice_is_deploying_once(deployer, cx, launch, counts).await;
    scaling_leaves_the_others_alone(deployer, cx, launch, counts).await;
    stopping_is_final_and_idempotent(deployer, cx, launch).await;
}

async fn deploying_twice_is_deploying_once(
    deployer: &dyn Deployer,
    cx: &Context<'_>,
    launch: &Launch<'_>,
    counts: &Counts,
) {
    let first = deploy(deployer, cx, launch, counts).await;
    let before = status(deployer, cx, launch).await;
    assert_eq!(
        running(&before),
        wanted(launch, counts),
        "not exactly the wanted instances run"
    );
    check_endpoints(launch, &first, &before);
    let second = deploy(deployer, cx, launch, counts).await;
    assert_eq!(first, second, "a second deploy gives other endpoints");
    let after = status(deployer, cx, launch).await;
    assert_eq!(before, after, "a second deploy touched running instances");
    let owned = deployer
        .observe(&cx.machine)
        .await
        .expect("it can be observed");
    assert!(
        owned.iter().any(|o| o.app == launch.release.app),
        "what runs is not observed"
    );
}

async fn scaling_leaves_the_others_alone(
    deployer: &dyn Deployer,
    cx: &Context<'_>,
    launch: &Launch<'_>,
    counts: &Counts,
) {
    let before = status(deployer, cx, launch).await;
    let more: Counts = counts
        .iter()
        .map(|(worker, n)| (worker.clone(), n + 1))
        .collect();
    deployer
        .scale(cx, launch, &more)
        .await
        .expect("it scales up");
    let between = status(deployer, cx, launch).await;
    assert_eq!(
        running(&between),
        wanted(launch, &more),
        "not exactly the wanted instances run"
    );
    for instance in &before {
        assert!(
            between.contains(instance),
            "{} was touched by scaling",
            instance.instance
        );
    }
    deployer
        .scale(cx, launch, counts)
        .await
        .expect("it scales down");
    let after = status(deployer, cx, launch).await;
    assert_eq!(
        running(&after),
        wanted(launch, counts),
        "not exactly the wanted instances run"
    );
}

async fn stopping_is_final_and_idempotent(
    deployer: &dyn Deployer,
    cx: &Context<'_>,
    launch: &Launch<'_>,
) {
    for _ in 0..2 {
        deployer
            .stop(cx, launch.release)
            .await
            .expect("it can be stopped");
        let left = running(&status(deployer, cx, launch).await);
        assert!(left.is_empty(), "after stop there still run {left:?}");
    }
}

fn check_endpoints(launch: &Launch<'_>, info: &DeploymentInfo, status: &[InstanceStatus]) {
    for endpoint in &info.endpoints {
        let worker = &endpoint.instance.worker;
        assert!(
            launch.workers.get(worker).is_none_or(|spec| spec.routed),
            "`{worker}` is not routed and has an endpoint"
        );
        let told = status
            .iter()
            .find(|s| s.instance == endpoint.instance)
            .and_then(|s| s.endpoint.as_ref());
        assert!(
            told.is_none_or(|address| *address == endpoint.address),
            "`deploy` and `check_status` tell different endpoints of {}",
            endpoint.instance
        );
    }
}

async fn deploy(
    deployer: &dyn Deployer,
    cx: &Context<'_>,
    launch: &Launch<'_>,
    counts: &Counts,
) -> DeploymentInfo {
    deployer
        .deploy(cx, launch, counts)
        .await
        .expect("it deploys")
}

async fn status(
    deployer: &dyn Deployer,
    cx: &Context<'_>,
    launch: &Launch<'_>,
) -> Vec<InstanceStatus> {
    let mut status = deployer
        .check_status(cx, launch.release)
        .await
        .expect("its status can be told");
    status.sort_by(|a, b| a.instance.cmp(&b.instance));
    status
}

fn running(status: &[InstanceStatus]) -> BTreeSet<InstanceId> {
    status
        .iter()
        .filter(|s| s.liveness == Liveness::Running)
        .map(|s| s.instance.clone())
        .collect()
}

fn wanted(launch: &Launch<'_>, counts: &Counts) -> BTreeSet<InstanceId> {
    let instances = counts.iter().flat_map(|(worker, count)| {
        (0..*count).map(|index| InstanceId {
            release: launch.release.clone(),
            worker: worker.clone(),
            index,
        })
    });
    instances.collect()
}
