//! Removes what no kept release needs: old releases, layers. Never data.

use std::collections::BTreeSet;

use hop3_plugin_api::{Host, Result};

use crate::observe::StateFiles;
use crate::release::Release;

/// The releases that stay: the newest `keep` that have served, those that are needed anyway (the current and the pinned one), and those
/// whose directories hold their artifacts. Pure.
pub(crate) fn kept(releases: &[&Release], needed: &[u32], keep: u16) -> BTreeSet<u32> {
    let served = releases.iter().filter(|release| release.served);
    let mut numbers: Vec<u32> = served.map(|release| release.id.number).collect();
    numbers.sort_unstable_by(|a, b| b.cmp(a));
    let newest = numbers.into_iter().take(usize::from(keep.max(1)));
    let mut kept: BTreeSet<u32> = newest.chain(needed.iter().copied()).collect();
    let holders: Vec<u32> = releases
        .iter()
        .filter(|release| kept.contains(&release.id.number))
        .filter_map(|release| release.artifact_release())
        .collect();
    kept.extend(holders);
    kept
}

/// Whether the next build is to find what it copies from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Copies {
    /// The layers that the newest release was copied from stay: most builds copy from them again.
    Stay,
    /// They can be made again, and room is needed now.
    Go,
}

/// Effect: removes the other releases, directories that never became one, and the layers that only they used.
pub(super) async fn retain(
    host: &dyn Host,
    files: &StateFiles,
    releases: &[&Release],
    (kept, copies): (&BTreeSet<u32>, Copies),
) -> Result<()> {
    for release in releases
        .iter()
        .filter(|release| !kept.contains(&release.id.number))
    {
        // The stamp goes first: a release without one is not whole, whatever else a crash leaves of it.
        host.remove_beneath(files.app(), &files.stamp(release.id.number))
            .await?;
    }
    // What has no stamp is what this or an earlier life left of a release.
    for entry in host.list(&files.releases()).await? {
        let number = entry.name.parse();
        if number.is_ok_and(|number| !kept.contains(&number)) {
            host.remove_beneath(files.app(), &files.releases().join(&entry.name))
                .await?;
        }
    }
    unfinished(host, files).await?;
    let used = used_layers(releases, kept, copies);
    for entry in host.list(&files.app().join("layers")).await? {
        if !used.contains(&format!("layers/{}", entry.name)) {
            host.remove_beneath(files.app(), &files.app().join("layers").join(&entry.name))
                .await?;
        }
    }
    Ok(())
}

/// The layers that kept releases run on, and those that the next build copies from. Pure.
fn used_layers(releases: &[&Release], kept: &BTreeSet<u32>, copies: Copies) -> BTreeSet<String> {
    let kept = releases
        .iter()
        .filter(|release| kept.contains(&release.id.number));
    let newest = kept.clone().max_by_key(|release| release.id.number);
    let newest = newest.filter(|_| copies == Copies::Stay);
    let copied = newest.map(|release| release.artifact.cloned.clone());
    kept.flat_map(|release| release.layers())
        .chain(copied.into_iter().flatten())
        .collect()
}

/// Effect: removes directories without a stamp: builds that a crash cut short. The app's lane is ours, so none is being built.
async fn unfinished(host: &dyn Host, files: &StateFiles) -> Result<()> {
    for entry in host.list(&files.releases()).await? {
        let Ok(number) = entry.name.parse() else {
            continue;
        };
        if host.read(&files.stamp(number)).await?.is_none() {
            host.remove_beneath(files.app(), &files.release(number))
                .await?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use hop3_plugin_api::{AppName, FileWrite};
    use hop3_plugin_testing::FakeHost;

    #[tokio::test]
    async fn a_build_that_a_crash_cut_short_leaves_nothing() {
        let host = FakeHost::new();
        let files = StateFiles::new(host.root(), &AppName::parse("shop").unwrap());
        for number in [1, 2] {
            let directory = files.release(number).join("app");
            host.ensure_dir(&directory, 0o755, None).await.unwrap();
        }
        let stamp = FileWrite::private(files.stamp(1), "{}");
        host.write_atomic(stamp).await.unwrap();
        let layers = files.app().join("layers");
        host.ensure_dir(&layers, 0o755, None).await.unwrap();

        retain(&host, &files, &[], (&BTreeSet::from([1]), Copies::Stay))
            .await
            .unwrap();

        let left = host.list(&files.releases()).await.unwrap();
        let left: Vec<_> = left.iter().map(|entry| entry.name.as_str()).collect();
        assert_eq!(left, ["1"]);
    }
}
