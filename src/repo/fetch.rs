//! What happens inside the fetching child: a pack into the mirror, checked before anyone trusts it.
//!
//! The first fetch is shallow; later ones grow from there, so that ancestry can be told. A mirror that is made anew deepens until the
//! commits that this host has accepted are in it. A fetch that is refused leaves the mirror as it was.

use std::num::NonZeroU32;
use std::sync::atomic::AtomicBool;

use gix::protocol::transport::Protocol;
use gix::protocol::transport::client::blocking_io::{Transport, http};
use gix::protocol::transport::client::git::{ConnectMode, blocking_io::Connection};
use gix::remote::Direction;
use gix::remote::fetch::{Shallow, Tags};

use super::child::{Fetch, Fetched, Order};
use super::http_wire::HttpWire;
use super::store::open_options;
use super::tidy::Before;
use super::url::Place;
use super::wire::Watch;
use super::{CommitId, RepoError, pipe, verify};

/// Where the fetched commit is kept reachable.
const CANDIDATE: &str = "refs/hop3/candidate";
/// A name that no remote has: without one that could match, all refs of the remote would be listed.
const NOTHING: &str = "refs/hop3/nothing";
/// How deep a new mirror looks for the accepted commits before it takes everything.
const DEPTHS: [u32; 2] = [50, 1000];

/// Does what is asked.
pub(super) fn perform(order: &Order, task: &Fetch) -> Result<Fetched, RepoError> {
    if task.directory.exists() {
        let tidied = |e| RepoError::internal("clean the mirror", e);
        let before = Before::look(&task.directory).map_err(tidied)?;
        match grow(order, task) {
            // A commit that nobody takes leaves nothing behind, or it would pass for one that was taken once.
            Ok(Fetched::Strange) => before.restore().map(|()| Fetched::Strange).map_err(tidied),
            Ok(fetched) => before.keep().map(|()| fetched).map_err(tidied),
            Err(error) => before.restore().map_err(tidied).and(Err(error)),
        }
    } else {
        create(order, task)
    }
}

fn create(order: &Order, task: &Fetch) -> Result<Fetched, RepoError> {
    let repo = gix::ThreadSafeRepository::init_opts(
        &task.directory,
        gix::create::Kind::Bare,
        gix::create::Options::default(),
        open_options(),
    );
    let repo = repo
        .map_err(|e| RepoError::internal("make the mirror", e))?
        .to_thread_local();
    let fetch = Fetching {
        repo: &repo,
        order,
        task,
    };
    fetch.receive(Shallow::DepthAtRemote(NonZeroU32::MIN))?;
    let depths = DEPTHS
        .iter()
        .filter_map(|depth| NonZeroU32::new(*depth))
        .map(Shallow::DepthAtRemote);
    for deeper in depths.chain([Shallow::undo()]) {
        if task.keep.iter().all(|commit| repo.has_object(commit.0)) {
            break;
        }
        fetch.receive(deeper)?;
    }
    fetch.check(None)?;
    let before = Before::look(&task.directory).and_then(Before::keep);
    before.map_err(|e| RepoError::internal("clean the mirror", e))?;
    fetch.compare()
}

fn grow(order: &Order, task: &Fetch) -> Result<Fetched, RepoError> {
    let repo = open_options()
        .open_path_as_is(true)
        .open(&task.directory)
        .map_err(RepoError::corrupt)?;
    let repo = repo.to_thread_local();
    for commit in &task.keep {
        verify::readable(&repo, *commit).map_err(RepoError::corrupt)?;
    }
    let fetch = Fetching {
        repo: &repo,
        order,
        task,
    };
    let received = fetch
        .receive(Shallow::NoChange)
        .and_then(|()| fetch.check(task.base));
    received.map_err(|error| fetch.blame(error))?;
    fetch.compare()
}

struct Fetching<'a> {
    repo: &'a gix::Repository,
    order: &'a Order,
    task: &'a Fetch,
}

impl Fetching<'_> {
    /// Whether the commit that came can be used: nothing that it needs was left out.
    fn check(&self, whole: Option<CommitId>) -> Result<(), RepoError> {
        verify::complete(self.repo, self.task.tip.commit, whole).map_err(|error| match error {
            RepoError::Corrupt { .. } => {
                let asked = self.order.asked();
                asked.bad_answer(format!("the fetched commit cannot be used: {error}"))
            }
            other => other,
        })
    }

    /// A fetch that makes no sense may be the fault of a damaged mirror. Only the mirror itself can prove that, never what the server says.
    fn blame(&self, error: RepoError) -> RepoError {
        if !matches!(error, RepoError::BadAnswer { .. }) {
            return error;
        }
        let whole = verify::intact(self.repo).and_then(|()| {
            let mut kept = self.task.keep.iter();
            kept.try_for_each(|commit| verify::complete(self.repo, *commit, None))
        });
        whole.err().unwrap_or(error)
    }

    /// How the commit stands to the one that it should descend from.
    fn compare(&self) -> Result<Fetched, RepoError> {
        let Some(base) = self.task.base else {
            return Ok(Fetched::Descends);
        };
        let common = self.common(base)?;
        if common == Some(base.0) {
            return Ok(Fetched::Descends);
        }
        if !self.task.relate {
            return Ok(Fetched::Strange);
        }
        if common.is_some() || self.is_the_same(base) {
            return Ok(Fetched::Related);
        }
        let shallow = self.repo.is_shallow();
        if shallow.map_err(|e| RepoError::internal("compare histories", e))? {
            // What the two have in common may lie beyond what was fetched of either.
            self.receive(Shallow::undo())?;
        }
        Ok(match self.common(base)? {
            Some(_) => Fetched::Related,
            None => Fetched::Strange,
        })
    }

    fn common(&self, base: CommitId) -> Result<Option<gix::ObjectId>, RepoError> {
        if !self.repo.has_object(base.0) {
            return Ok(None);
        }
        let common = self.repo.merge_base(base.0, self.task.tip.commit.0);
        let common = common.map_err(|e| RepoError::internal("compare histories", e))?;
        Ok(common.map(gix::Id::detach))
    }

    /// Whether it says what the other said, word for word: a past that was cut off or written anew.
    fn is_the_same(&self, base: CommitId) -> bool {
        let roots = [base, self.task.tip.commit].map(|commit| verify::root(self.repo, commit));
        matches!(roots, [Ok(one), Ok(other)] if one == other)
    }

    fn receive(&self, shallow: Shallow) -> Result<(), RepoError> {
        let watch = Watch::new(self.order);
        match self.order.url.place() {
            Place::Http(url) => {
                let wire = HttpWire::new(self.order, watch.clone())?;
                let parsed = gix::url::parse(url.as_str().as_bytes());
                let parsed = parsed.map_err(|e| RepoError::internal("read the address", e))?;
                let transport = http::Transport::new_http(wire, parsed, Protocol::V2, false);
                let received = self.receive_through(transport, shallow);
                received.map_err(|e| {
                    watch
                        .taken()
                        .unwrap_or_else(|| self.order.asked().broken(&e))
                })
            }
            Place::Ssh(_) | Place::File(_) => {
                let (mut session, reader, writer) = pipe::open(self.order, &watch)?;
                let host = None::<(String, Option<u16>)>;
                let transport = Connection::new(
                    reader,
                    writer,
                    Protocol::V2,
                    "/",
                    host,
                    ConnectMode::Process,
                    false,
                );
                match self.receive_through(transport, shallow) {
                    Ok(()) => {
                        session.end();
                        Ok(())
                    }
                    Err(error) => Err(session.failed(self.order.asked().broken(&error))),
                }
            }
        }
    }

    fn receive_through(
        &self,
        transport: impl Transport,
        shallow: Shallow,
    ) -> Result<(), gix::Error> {
        let wanted = format!("+{}:{CANDIDATE}", self.task.tip.object);
        let remote = self
            .repo
            .remote_at_without_url_rewrite("file:///")?
            .with_refspecs(
                [wanted.as_str(), NOTHING].map(gix::bstr::BStr::new),
                Direction::Fetch,
            )?
            .with_fetch_tags(Tags::None);
        // A refused token is an error at once: no helper is run and nobody is asked.
        let connection = remote
            .to_connection_with_transport(transport)
            .with_credentials(|_| Ok(None))
            .with_transport_options(Box::new(()));
        let fetch = connection.prepare_fetch(
            gix::progress::Discard,
            gix::remote::ref_map::Options::default(),
        )?;
        fetch
            .with_shallow(shallow)
            .receive(gix::progress::Discard, &AtomicBool::new(false))?;
        Ok(())
    }
}
