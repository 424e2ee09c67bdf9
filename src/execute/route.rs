//! Requests: sent to a release, drained from one, taken from an app. What is current follows from where requests go.

use std::sync::Arc;
use std::time::Duration;

use hop3_plugin_api::{Abort, Endpoint, HostError, PluginName, Result};

use super::run::{Run, Stage};
use super::stamps;
use crate::observe::{Pin, RoutedSite};
use crate::plan::ReleaseRef;
use crate::release::{Release, Route, TakeOver, routed_endpoints, site};

impl Run<'_> {
    /// The endpoints of every routed instance. Requests never go to a part of a release, and least of all to none of it, because an
    /// instance could not be asked at this moment.
    async fn endpoints(&self, stage: &Stage) -> Result<Vec<Endpoint>> {
        let cx = self.context(stage);
        let statuses = stage.deployer.check_status(&cx, &stage.release.id).await?;
        let endpoints = routed_endpoints(&statuses);
        let wanted: usize = stage
            .target
            .counts_of(true)
            .values()
            .map(|count| usize::from(*count))
            .sum();
        if endpoints.len() < wanted {
            let known = endpoints.len();
            return Err(HostError::Refused {
                doing: format!("send requests to release {}", stage.release.id.number),
                reason: format!("only {known} of {wanted} instances are known to run"),
            }
            .into());
        }
        Ok(endpoints)
    }

    /// Effect: sends requests to the release and makes it the current one.
    pub(super) async fn switch(
        &mut self,
        of: &ReleaseRef,
        routing: Option<(&PluginName, &Route)>,
    ) -> Result<()> {
        let stage = self.stage(of).await?;
        let machine = &self.executor.machine;
        if let Some((proxy, route)) = routing {
            let endpoints = self.endpoints(&stage).await?;
            let site = site(&machine.dirs.data, &stage.release, route, &endpoints);
            let routed = RoutedSite {
                proxy: proxy.clone(),
                site,
            };
            // From here on requests may go to the new release, even when the proxy's answer is lost.
            self.switched = true;
            if let Some(reason) = self.executor.sites.put(machine, routed.clone()).await? {
                self.switched = false;
                let refusal = format!("the proxy `{proxy}` refuses the site: {reason}");
                return Err(Abort::new(refusal).into());
            }
            // Stamped only now: a later agent must never give a proxy the site of a release that did not make it.
            stamps::write(machine.host.as_ref(), self.files.site(), &routed).await?;
        } else if let Some(proxy) = self.former_proxy().await? {
            self.unroute(&proxy).await?;
        }
        stamps::set_current(machine.host.as_ref(), &self.files, &stage.release).await?;
        self.switched = true;
        let number = stage.release.id.number;
        let before = self.current.replace(number);
        let pinned = self.settle_pin(number).await?;
        let took_over = match before {
            Some(before) if before == number => stage.release.took_over,
            Some(from) if !pinned => Some(TakeOver {
                from,
                at: machine.host.now(),
            }),
            _ => None,
        };
        self.restamp(stage, took_over).await
    }

    /// Effect: records that the release has served and since when, and the target's newest counts, route and checks.
    pub(super) async fn restamp(
        &mut self,
        stage: Stage,
        took_over: Option<TakeOver>,
    ) -> Result<()> {
        let Stage {
            release: former,
            target,
            ..
        } = stage;
        let mut release = Release {
            served: true,
            took_over,
            ..former.clone()
        };
        if release.key == *target.key() {
            release.target = target;
        }
        if release != former {
            let path = self.files.stamp(release.id.number);
            stamps::write(self.executor.machine.host.as_ref(), path, &release).await?;
            self.releases.insert(release.id.number, Arc::new(release));
        }
        Ok(())
    }

    /// Effect: a pin to another release than the one that serves now is over; it must not come back with a later commit. Says whether the app is
    /// pinned to this one.
    async fn settle_pin(&self, serving: u32) -> Result<bool> {
        let host = self.executor.machine.host.as_ref();
        let pin: Option<Pin> = crate::observe::read_json(host, &self.files.pin()).await?;
        let pinned = pin.as_ref().is_some_and(|pin| pin.release == serving);
        if pin.is_some() && !pinned {
            host.remove_beneath(self.files.app(), &self.files.pin())
                .await?;
        }
        Ok(pinned)
    }

    async fn former_proxy(&self) -> Result<Option<PluginName>> {
        let site: Option<RoutedSite> =
            crate::observe::read_json(self.executor.machine.host.as_ref(), &self.files.site())
                .await?;
        Ok(site.map(|routed| routed.proxy))
    }

    pub(super) async fn drain(&mut self, of: &ReleaseRef, deadline: Duration) -> Result<()> {
        let release = self.release(of)?.id.clone();
        let machine = &self.executor.machine;
        let Some(proxy) = self.former_proxy().await? else {
            return Ok(());
        };
        let plugin = machine.registry.proxies.require(proxy.as_str())?;
        if !plugin
            .drain(&machine.host_context(), &release, deadline)
            .await?
        {
            tracing::warn!(%release, "Requests were still in flight when the drain timeout ended.");
        }
        Ok(())
    }

    pub(super) async fn unroute(&mut self, proxy: &PluginName) -> Result<()> {
        let machine = &self.executor.machine;
        self.executor.sites.take(machine, self.app(), proxy).await?;
        machine
            .host
            .remove_beneath(self.files.app(), &self.files.site())
            .await?;
        Ok(())
    }
}
