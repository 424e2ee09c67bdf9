//! Lives of the agent's loop in this process, on any host that it is given.

use std::sync::Arc;
use std::time::Duration;

use hop3_agent::compose::Settings;
use hop3_agent::config::AgentConfig;
use hop3_agent::control::{Control, Message, Reply, Request};
use hop3_agent::host::DataDirLock;
use hop3_agent::registry::Registry;
use hop3_agent::schema::Schemas;
use hop3_plugin_api::{AppName, Host};
use tokio::runtime::Runtime;
use tokio::sync::{mpsc, oneshot};

use crate::proof::Ground;

/// The longest that the loop may take to come to rest.
const PATIENCE: Duration = Duration::from_mins(3);

/// The agent's parts, for one installation.
pub(crate) struct Stage {
    settings: Settings,
    runtime: Runtime,
}

impl Stage {
    /// The parts that this installation's settings lead to.
    pub(crate) fn on(ground: &Ground) -> Self {
        let registry = Registry::new(hop3_agent::builtin()).unwrap();
        let names: Vec<&str> = registry.linked().iter().map(|linked| linked.name).collect();
        let schemas = Schemas::compose_for(&names, &registry.sections());
        let config = AgentConfig::parse(&ground.settings(), "agent.toml", &schemas).unwrap();
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        Self {
            settings: Settings {
                agent_binary: env!("CARGO_BIN_EXE_hop3-agent").into(),
                ..Settings::new(config, schemas, &registry)
            },
            runtime,
        }
    }

    /// The real machine.
    pub(crate) fn host(&self) -> Arc<dyn Host> {
        self.settings.system_host()
    }

    /// One life of the agent: starts, looks once, carries out what can be done, ends. An agent that cannot start says why.
    pub(crate) fn live(&self, host: Arc<dyn Host>) -> Result<(), String> {
        self.runtime.block_on(async {
            let _lock = self.lock(host.as_ref()).await?;
            let (control, _sender) = self.control(host).await?;
            settled(control).await.map(drop)
        })
    }

    /// A life in which a person returns an app to its former release, after `prepared`; whether that was granted.
    pub(crate) fn roll_back(
        &self,
        host: Arc<dyn Host>,
        app: &str,
        prepared: impl FnOnce(),
    ) -> Result<bool, String> {
        self.runtime.block_on(async {
            let _lock = self.lock(host.as_ref()).await?;
            let (control, sender) = self.control(host).await?;
            let control = settled(control).await?;
            prepared();
            let app = AppName::parse(app).unwrap();
            let (reply, answer) = oneshot::channel();
            let asked = Message::Asked(Request::Rollback { app, to: None }, reply);
            sender.send(asked).await.unwrap();
            let _control = settled(control).await?;
            Ok(matches!(answer.await.unwrap(), Reply::Done(_)))
        })
    }

    async fn control(
        &self,
        host: Arc<dyn Host>,
    ) -> Result<(Control, mpsc::Sender<Message>), String> {
        hop3_agent::host::sweep(&self.settings.config.data_dir, 4);
        let machine = self
            .settings
            .machine(Arc::clone(&host))
            .await
            .map_err(text)?;
        let store = self.settings.store(host).map_err(text)?;
        Ok(Control::new(
            self.settings.parts(machine, store).map_err(text)?,
        ))
    }

    /// A process that another case is starting at this very moment holds every lock of this one until it becomes another program.
    async fn lock(&self, host: &dyn Host) -> Result<DataDirLock, String> {
        let mut tries = 0;
        loop {
            match self.settings.lock(host).await.map_err(text) {
                Err(why) if why.contains("another agent") && tries < 100 => tries += 1,
                taken => return taken,
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

async fn settled(control: Control) -> Result<Control, String> {
    tokio::time::timeout(PATIENCE, control.settle())
        .await
        .map_err(|_| "the loop did not come to rest".to_owned())
}

fn text(error: impl std::fmt::Display) -> String {
    error.to_string()
}

/// Effect: forgets what failed, so that nothing rests any more and no time has to pass.
pub(crate) fn end_rests(ground: &Ground) {
    let store = ground.data().join("agent/state.db");
    // It is not there when the agent could not even start.
    if store.exists() {
        let db = rusqlite::Connection::open(store).unwrap();
        let forgotten = db
            .execute("DELETE FROM memo WHERE kind = 'attempt'", [])
            .or_else(|_| db.execute("DELETE FROM attempt", []));
        drop(forgotten);
    }
}
