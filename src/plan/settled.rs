//! Apps of which planning has found that they are as they should be. A plan is a pure function, so that it finds the same of the same values; asking again
//! is spared for as long as nobody has put others in their place. It never decides anything itself.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use hop3_plugin_api::AppName;

use super::PlanInput;
use crate::desired::{Desired, DesiredApp};
use crate::observe::ObservedApp;

/// The values of which it was found that they agree, by app.
#[derive(Debug, Default)]
pub struct Settled(HashMap<AppName, (Arc<DesiredApp>, Arc<ObservedApp>)>);

impl Settled {
    /// Remembers what a plan found of these apps.
    pub fn remember(
        &mut self,
        unchanged: &[AppName],
        (desired, observed): (&Desired, &BTreeMap<AppName, Arc<ObservedApp>>),
    ) {
        for app in unchanged {
            if let Some((desired, observed)) = desired.apps.get(app).zip(observed.get(app))
                && !self.holds(app, desired, observed)
            {
                let pair = (Arc::clone(desired), Arc::clone(observed));
                self.0.insert(app.clone(), pair);
            }
        }
        if self.0.len() > desired.apps.len() {
            self.0.retain(|app, _| desired.apps.contains_key(app));
        }
    }

    /// Whether nothing can be different for an app from when it was found as it should be: neither the two values, nor what may hold or ask for more.
    pub(super) fn spares(&self, app: &AppName, input: &PlanInput<'_>) -> bool {
        let holds = input.holds;
        let free = input.desired.everything_held.is_none()
            && !holds.scarce
            && !holds.crashing.contains_key(app)
            && !holds.resting.keys().any(|(of, _)| of == app);
        let desired = input.desired.apps.get(app).filter(|_| free);
        let both = desired.zip(input.observed.get(app));
        both.is_some_and(|(desired, observed)| self.holds(app, desired, observed))
    }

    fn holds(&self, app: &AppName, desired: &Arc<DesiredApp>, observed: &Arc<ObservedApp>) -> bool {
        let known = self.0.get(app);
        known.is_some_and(|(d, o)| Arc::ptr_eq(d, desired) && Arc::ptr_eq(o, observed))
    }
}
