//! `starling config`: default, check, show.

use std::fmt::Write as _;

use anyhow::Context as _;
use serde_json::json;
use starling_session::{Clock as _, SystemClock};

use super::output::Output;
use super::{ConfigCommand, Exit, Global};
use crate::config::{self, Environment};

pub(super) fn run(
    global: &Global,
    command: &ConfigCommand,
    output: &Output,
) -> anyhow::Result<Exit> {
    match command {
        ConfigCommand::Default if output.is_json() => {
            output.print("", &config::Config::default())?;
        }
        ConfigCommand::Default => Output::raw(&config::template())?,
        ConfigCommand::Check => return check(global, output),
        ConfigCommand::Show => {
            let loaded = load(global)?;
            let text = toml::to_string_pretty(&loaded.config)
                .context("the configuration cannot be written as TOML")?;
            output.print(text.trim_end(), &loaded.config)?;
        }
    }
    Ok(Exit::Done)
}

fn check(global: &Global, output: &Output) -> anyhow::Result<Exit> {
    match load(global) {
        Ok(loaded) => {
            let doubts = loaded.doubts(SystemClock.now());
            let mut text = "The configuration is fine.".to_owned();
            if !doubts.is_empty() {
                text = "The configuration can be used, but:".to_owned();
            }
            for doubt in &doubts {
                let _ = write!(text, "\n  {doubt}");
            }
            output.print(&text, &json!({ "problems": [], "warnings": doubts }))?;
            Ok(Exit::Done)
        }
        Err(problems) if output.is_json() => {
            output.print("", &json!({ "problems": problems.0, "warnings": [] }))?;
            Ok(Exit::Configuration)
        }
        Err(problems) => Err(problems.into()),
    }
}

fn load(global: &Global) -> Result<config::Loaded, config::Problems> {
    config::load(global.config.as_deref(), &Environment::of_process())
}
