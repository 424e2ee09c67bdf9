//! What happens inside the fetching child: a pack into the mirror, checked before anyone trusts it.
//!
//! The first fetch is shallow; later ones grow from there, so that ancestry can be told. A mirror that is made anew deepens until the
//! commits that this host has accepted are in it.

use std::collections::HashSet;
use std::num::NonZeroU32;
use std::path::Path;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex};

use gix::objs::tree::EntryKind;
use gix::protocol::transport::client::blocking_io::http;
use gix::remote::Direction;
use gix::remote::fetch::{Shallow, Tags};

use super::child::{FetchRequest, Fetched};
use super::remote::USER_AGENT;
use super::store::{Health, Reader, open_options};
use super::{CommitId, RepoError, tls};

/// Where the fetched commit is kept reachable.
const CANDIDATE: &str = "refs/hop3/candidate";
/// How deep a new mirror looks for the accepted commits before it takes everything.
const DEPTHS: [u32; 2] = [50, 1000];

/// Does what is asked.
pub(super) fn perform(request: &FetchRequest) -> Result<Fetched, RepoError> {
    if request.directory.exists() {
        grow(request)
    } else {
        create(request)
    }
}

fn create(request: &FetchRequest) -> Result<Fetched, RepoError> {
    let repo = gix::ThreadSafeRepository::init_opts(
        &request.directory,
        gix::create::Kind::Bare,
        gix::create::Options::default(),
        open_options(),
    );
    let repo = repo
        .map_err(|e| RepoError::internal("make the mirror", e))?
        .to_thread_local();
    receive(&repo, request, Shallow::DepthAtRemote(NonZeroU32::MIN))?;
    let depths = DEPTHS
        .iter()
        .filter_map(|depth| NonZeroU32::new(*depth))
        .map(Shallow::DepthAtRemote);
    for deeper in depths.chain([Shallow::undo()]) {
        if request.keep.iter().all(|commit| repo.has_object(commit.0)) {
            break;
        }
        receive(&repo, request, deeper)?;
    }
    conclude(&repo, request)
}

fn grow(request: &FetchRequest) -> Result<Fetched, RepoError> {
    sweep(&request.directory).map_err(|e| RepoError::internal("clean the mirror", e))?;
    let repo = open_options()
        .open_path_as_is(true)
        .open(&request.directory)
        .map_err(RepoError::corrupt)?;
    let repo = repo.to_thread_local();
    for commit in &request.keep {
        check(&repo, *commit).map_err(RepoError::corrupt)?;
    }
    receive(&repo, request, Shallow::NoChange).map_err(|error| blame(&repo, request, error))?;
    conclude(&repo, request)
}

/// A fetch that makes no sense may be the fault of a damaged mirror. Only the mirror itself can prove that, never what the server says.
fn blame(repo: &gix::Repository, request: &FetchRequest, error: RepoError) -> RepoError {
    if !matches!(error, RepoError::BadAnswer { .. }) {
        return error;
    }
    let whole = verify(repo).and_then(|()| {
        request
            .keep
            .iter()
            .try_for_each(|commit| walk(repo, *commit))
    });
    whole.err().unwrap_or(error)
}

/// Compares every pack with its checksums.
fn verify(repo: &gix::Repository) -> Result<(), RepoError> {
    let options = gix::odb::pack::index::verify::integrity::Options {
        verify_mode: gix::odb::pack::index::verify::Mode::HashCrc32,
        ..Default::default()
    };
    let store = repo.objects.store_ref();
    let verified = store.verify_integrity(
        &mut gix::progress::Discard,
        &AtomicBool::new(false),
        options,
    );
    verified.map(drop).map_err(RepoError::corrupt)
}

/// Looks whether everything that a commit needs is here: a pack that is gone leaves no checksum that is wrong.
fn walk(repo: &gix::Repository, commit: CommitId) -> Result<(), RepoError> {
    let health = Health::default();
    let reader = Reader::of(repo.clone(), &health);
    let mut open = vec![super::history::commit(&reader, commit)?.tree];
    let mut seen: HashSet<_> = open.iter().copied().collect();
    while let Some(tree) = open.pop() {
        for entry in reader.tree(tree)? {
            if entry.kind == EntryKind::Commit || !seen.insert(entry.id) {
                continue;
            }
            if entry.kind == EntryKind::Tree {
                open.push(entry.id);
            } else if !reader.has(entry.id) {
                return Err(RepoError::corrupt(format!(
                    "object {} is missing",
                    entry.id
                )));
            }
        }
    }
    Ok(())
}

fn conclude(repo: &gix::Repository, request: &FetchRequest) -> Result<Fetched, RepoError> {
    let unusable = |e: RepoError| {
        request
            .asked()
            .bad_answer(format!("the fetched commit cannot be used: {e}"))
    };
    check(repo, request.commit).map_err(unusable)?;
    let Some(base) = request.base else {
        return Ok(Fetched { descends: true });
    };
    if !repo.has_object(base.0) {
        return Ok(Fetched { descends: false });
    }
    let common = repo.merge_base(base.0, request.commit.0);
    // Without a common commit gix answers `None`.
    let common = common.map_err(|e| RepoError::internal("compare histories", e))?;
    Ok(Fetched {
        descends: common.is_some_and(|id| id == base.0),
    })
}

/// Whether a commit and its root directory are here and are what they are called.
fn check(repo: &gix::Repository, commit: CommitId) -> Result<(), RepoError> {
    let health = Health::default();
    let reader = Reader::of(repo.clone(), &health);
    let tree = super::history::commit(&reader, commit)?.tree;
    reader.tree(tree).map(drop)
}

fn receive(
    repo: &gix::Repository,
    request: &FetchRequest,
    shallow: Shallow,
) -> Result<(), RepoError> {
    let transport = transport_options(request)?;
    try_receive(repo, request, shallow, transport).map_err(|error| request.asked().failed(&error))
}

fn try_receive(
    repo: &gix::Repository,
    request: &FetchRequest,
    shallow: Shallow,
    transport: http::Options,
) -> Result<(), gix::Error> {
    let spec = format!("+{}:{CANDIDATE}", request.commit);
    let remote = repo
        .remote_at_without_url_rewrite(request.url.as_str())?
        .with_refspecs([gix::bstr::BStr::new(&spec)], Direction::Fetch)?
        .with_fetch_tags(Tags::None);
    // A refused token is an error at once: no helper is run and nobody is asked.
    let mut connection = remote
        .connect(Direction::Fetch)?
        .with_credentials(|_| Ok(None));
    if !request.url.starts_with("file:") {
        connection.set_transport_options(Box::new(transport));
    }
    let fetch = connection.prepare_fetch(
        gix::progress::Discard,
        gix::remote::ref_map::Options::default(),
    )?;
    fetch
        .with_shallow(shallow)
        .receive(gix::progress::Discard, &AtomicBool::new(false))?;
    Ok(())
}

/// No redirect is followed, so the token stays with the server that it was given for.
fn transport_options(request: &FetchRequest) -> Result<http::Options, RepoError> {
    let authorities = request.ca.as_deref().map(tls::authorities).transpose()?;
    let deadline = request.limits.deadline;
    let backend = http::reqwest::Options {
        configure_client: Some(Box::new(move |builder| {
            let builder = builder
                .timeout(deadline)
                .user_agent(USER_AGENT)
                .referer(false);
            Ok(match authorities.clone() {
                Some(certificates) => builder.tls_certs_only(certificates),
                None => builder,
            })
        })),
        configure_request: None,
    };
    Ok(http::Options {
        extra_headers: request
            .authorization
            .iter()
            .map(|value| format!("Authorization: {value}"))
            .collect(),
        follow_redirects: http::options::FollowRedirects::None,
        backend: Some(Arc::new(Mutex::new(backend))),
        ..http::Options::default()
    })
}

/// Removes what a killed fetch left: its locks would stop every later one. The mirror has one writer at a time, so none of them is in use.
fn sweep(mirror: &Path) -> std::io::Result<()> {
    // The candidate of an earlier fetch may name what has been lost since.
    let is_stale = |name: &str| is(name, "lock") || CANDIDATE.ends_with(name);
    remove_where(mirror, is_stale)?;
    remove_where(&mirror.join("refs/hop3"), is_stale)?;
    let packs = mirror.join("objects/pack");
    let is_known = |name: &str| name.starts_with("pack-") || name == "multi-pack-index";
    remove_where(&packs, |name| !is_known(name) || is(name, "keep"))?;
    let has_index = |name: &str| packs.join(Path::new(name).with_extension("idx")).exists();
    remove_where(&packs, |name| is(name, "pack") && !has_index(name))
}

fn is(name: &str, extension: &str) -> bool {
    Path::new(name)
        .extension()
        .is_some_and(|found| found == extension)
}

fn remove_where(directory: &Path, is_leftover: impl Fn(&str) -> bool) -> std::io::Result<()> {
    let entries = match std::fs::read_dir(directory) {
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        entries => entries?,
    };
    for entry in entries {
        let entry = entry?;
        if entry.file_name().to_str().is_some_and(&is_leftover) && entry.file_type()?.is_file() {
            std::fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}
