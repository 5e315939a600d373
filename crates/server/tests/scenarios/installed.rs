//! The program as an operator has it: a folder, a configuration, a process.
//!
//! For scenarios that kill it, stop it, or speak to it by its command line.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use starling_testkit::process::{Output, Process, Program};
use starling_testkit::world::{Entrance, Registrar as _};
use starling_testkit::{Account, Client, Login};

use crate::world::{Admin, CONFIGURATION, new_folder};

/// What the program prints once it serves.
const READY: &str = "Starling is ready";
const PASSWORD: &str = "Call me but love";

/// The program and its data.
pub(crate) struct Installed {
    data: PathBuf,
}

impl Installed {
    /// A new installation; `name` is unlike that of any other scenario.
    pub(crate) fn new(name: &str) -> Self {
        Self::with(name, &[])
    }

    /// One with other settings, by section.
    pub(crate) fn with(name: &str, settings: &[(&str, &str)]) -> Self {
        let data = new_folder(name);
        let mut configuration = CONFIGURATION.to_owned();
        for (section, setting) in settings {
            let heading = format!("[{section}]\n");
            if !configuration.contains(&heading) {
                configuration.push_str(&heading);
            }
            configuration = configuration.replace(&heading, &format!("{heading}{setting}\n"));
        }
        std::fs::write(data.join("starling.toml"), configuration).unwrap();
        Self { data }
    }

    /// Its data folder.
    pub(crate) fn data(&self) -> &Path {
        &self.data
    }

    /// Starts it and waits until it serves.
    pub(crate) async fn start(&self) -> Process {
        self.program(&["serve"]).start().await
    }

    /// Where it listens; it is running.
    pub(crate) async fn entrance(&self) -> Entrance {
        Admin::new(&self.data).entrance().await.unwrap()
    }

    /// Makes an account by the admin API.
    pub(crate) async fn account(&self, user: &str) -> Account {
        let (host, password) = ("localhost".to_owned(), PASSWORD.to_owned());
        let account = Account {
            user: user.to_owned(),
            host,
            password,
        };
        Admin::new(&self.data)
            .create(&account.jid(), PASSWORD)
            .await
            .unwrap();
        account
    }

    /// A session of an account.
    pub(crate) async fn connect(&self, account: &Account) -> Client {
        Login::new(account)
            .resource("r")
            .connect(&self.entrance().await)
            .await
    }

    /// Runs a command to its end.
    pub(crate) async fn run(&self, arguments: &[&str]) -> Output {
        self.program(arguments).run().await
    }

    /// Runs a command that must end well, and returns what it printed.
    pub(crate) async fn run_ok(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments).await;
        assert_eq!(output.code, Some(0), "{arguments:?}: {output:?}");
        output.out
    }

    /// The program with these arguments and its own folder and configuration.
    pub(crate) fn program(&self, arguments: &[&str]) -> Program {
        let mut arguments: Vec<OsString> = arguments.iter().map(OsString::from).collect();
        arguments.extend(["--data".into(), self.data.clone().into()]);
        arguments.extend(["--config".into(), self.data.join("starling.toml").into()]);
        let path = env!("CARGO_BIN_EXE_starling").into();
        Program {
            path,
            arguments,
            ready: READY.to_owned(),
        }
    }
}
