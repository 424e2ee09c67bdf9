//! The promises of an addon.

use std::collections::BTreeMap;

use hop3_plugin_api::{Addon, AddonInstance, Context};

/// Creating twice is creating once, the variables are those announced, access can be taken and given back, and a backup survives `destroy`.
pub async fn conforms(addon: &dyn Addon, cx: &Context<'_>, instance: &AddonInstance) {
    assert!(
        addon.accept(instance).accepts(),
        "the settings are not accepted"
    );
    creating_twice_is_creating_once(addon, cx, instance).await;
    detaching_keeps_it(addon, cx, instance).await;
    a_backup_survives_destruction(addon, cx, instance).await;
}

async fn creating_twice_is_creating_once(
    addon: &dyn Addon,
    cx: &Context<'_>,
    instance: &AddonInstance,
) {
    create(addon, cx, instance).await;
    let first = details(addon, cx, instance).await;
    create(addon, cx, instance).await;
    assert_eq!(
        first,
        details(addon, cx, instance).await,
        "a second create changes credentials"
    );
    let keys: Vec<&str> = first.keys().map(String::as_str).collect();
    let mut announced = addon.variables().to_vec();
    announced.sort_unstable();
    assert_eq!(keys, announced, "the variables are not those announced");
    assert_eq!(
        status(addon, cx, instance).await,
        "ready",
        "what was created is not ready"
    );
    assert!(
        is_observed(addon, cx).await,
        "what was created is not observed"
    );
}

async fn detaching_keeps_it(addon: &dyn Addon, cx: &Context<'_>, instance: &AddonInstance) {
    for _ in 0..2 {
        addon
            .detach(cx, instance)
            .await
            .expect("access can be taken away");
    }
    assert!(is_observed(addon, cx).await, "detach removed it");
    create(addon, cx, instance).await;
}

async fn a_backup_survives_destruction(
    addon: &dyn Addon,
    cx: &Context<'_>,
    instance: &AddonInstance,
) {
    let backup = addon
        .backup(cx, instance)
        .await
        .expect("it can be backed up");
    addon
        .destroy(cx, instance)
        .await
        .expect("it can be destroyed");
    assert_ne!(
        status(addon, cx, instance).await,
        "ready",
        "what was destroyed is ready"
    );
    create(addon, cx, instance).await;
    addon
        .restore(cx, instance, &backup)
        .await
        .expect("the backup can be restored");
    assert_eq!(
        status(addon, cx, instance).await,
        "ready",
        "what was restored is not ready"
    );
}

async fn create(addon: &dyn Addon, cx: &Context<'_>, instance: &AddonInstance) {
    addon
        .create(cx, instance)
        .await
        .expect("it can be created, also again");
}

async fn details(
    addon: &dyn Addon,
    cx: &Context<'_>,
    instance: &AddonInstance,
) -> BTreeMap<String, String> {
    let details = addon
        .connection_details(cx, instance)
        .await
        .expect("its details are known");
    details
        .into_iter()
        .map(|(key, value)| (key.to_string(), value.expose().to_owned()))
        .collect()
}

async fn status(addon: &dyn Addon, cx: &Context<'_>, instance: &AddonInstance) -> String {
    addon
        .info(cx, instance)
        .await
        .expect("its state can be told")
        .status
}

async fn is_observed(addon: &dyn Addon, cx: &Context<'_>) -> bool {
    let owned = addon
        .observe(&cx.machine)
        .await
        .expect("it can be observed");
    owned.iter().any(|o| o.app == *cx.plan.app)
}
