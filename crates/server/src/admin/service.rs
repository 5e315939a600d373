//! The calls of the API: each asks `api`, converts and answers.

use std::path::PathBuf;
use std::sync::Arc;

use starling_api::{Administration, Checks};
use starling_wire::Admin;
use starling_wire::admin::v1::new_account::Secret;
use starling_wire::admin::v1::{
    AddAccountRequest, AddAccountResponse, BackupRequest, BackupResponse, GetStatusRequest,
    GetStatusResponse, HostStatus, ImportAccountsRequest, ImportAccountsResponse,
    KickSessionRequest, KickSessionResponse, ListAccountsRequest, ListAccountsResponse,
    ListSessionsRequest, ListSessionsResponse, Listener, RemoveAccountRequest,
    RemoveAccountResponse, SetAccountEnabledRequest, SetAccountEnabledResponse, SetArchiveRequest,
    SetArchiveResponse, SetPasswordRequest, SetPasswordResponse, ShowAccountRequest,
    ShowAccountResponse,
};
use starling_wire::grpc::{Request, Response, Status, Streaming};
use starling_xmpp::BareJid;
use starling_xmpp::credentials::ScramVerifier;
use tokio::sync::{Semaphore, mpsc};
use tokio_stream::wrappers::ReceiverStream;

use super::facts::Facts;
use super::import::Import;
use super::{archive, backup, convert, status};
use crate::passwords::Passwords;

/// Messages of a streamed answer that wait for the client.
const ANSWERS_AHEAD_MAX: usize = 4;

/// Accounts, or sessions, in one message.
const PAGE_ITEMS: usize = 500;

type Answers<T> = ReceiverStream<Result<T, Status>>;

/// The service. Cheap to clone.
#[derive(Clone)]
pub struct Service {
    administration: Administration,
    facts: Arc<Facts>,
    passwords: Passwords,
    checks: Checks,
    cores: Arc<Semaphore>,
}

impl Service {
    /// Serves `administration`; new passwords are derived as `passwords` say,
    /// and the status tells what `checks` find.
    #[must_use]
    pub fn new(
        administration: Administration,
        facts: Arc<Facts>,
        passwords: Passwords,
        checks: Checks,
    ) -> Self {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Self {
            administration,
            facts,
            passwords,
            checks,
            cores: Arc::new(Semaphore::new(cores)),
        }
    }

    fn address(&self, given: &str) -> Result<BareJid, Status> {
        self.administration
            .address(given)
            .map_err(|error| status::of(&error))
    }

    /// Derives away from the threads that serve.
    async fn verifiers(&self, secret: Option<Secret>) -> Result<Vec<ScramVerifier>, Status> {
        let permit = Arc::clone(&self.cores).acquire_owned().await;
        let how = self.passwords.derivation();
        let derived = tokio::task::spawn_blocking(move || {
            let _permit = permit;
            convert::verifiers(secret, &how)
        });
        derived
            .await
            .map_err(|stopped| Status::internal(format!("deriving stopped: {stopped}")))?
            .map_err(Status::invalid_argument)
    }

    async fn list(
        self,
        asked: ListAccountsRequest,
        answers: mpsc::Sender<Result<ListAccountsResponse, Status>>,
    ) -> Result<(), Status> {
        let mut after = match asked.after.as_str() {
            "" => None,
            after => Some(self.address(after)?),
        };
        let mut left = if asked.limit == 0 {
            usize::MAX
        } else {
            usize::try_from(asked.limit).unwrap_or(usize::MAX)
        };
        let first = after.as_ref().map(|after| after.domain().to_owned());
        let hosts = if asked.host.is_empty() {
            self.administration.hosts()
        } else {
            vec![asked.host]
        };
        // Hosts before that of `after` were on earlier pages.
        for host in hosts {
            if first.as_ref().is_some_and(|first| host < *first) {
                continue;
            }
            let mut last = after.take_if(|after| after.domain() == host);
            while left > 0 {
                let page = self
                    .administration
                    .page(&host, last.as_ref(), left.min(PAGE_ITEMS));
                let page = page.await.map_err(|error| status::of(&error))?;
                let Some(end) = page.last() else {
                    break;
                };
                left -= page.len();
                last = Some(end.jid.clone());
                let accounts = page.iter().map(convert::account).collect();
                if answers
                    .send(Ok(ListAccountsResponse { accounts }))
                    .await
                    .is_err()
                {
                    return Ok(());
                }
            }
        }
        Ok(())
    }
}

/// Streams what `work` sends, and the status it ends with if that is an error.
fn stream<T, Work, Done>(work: Work) -> Response<Answers<T>>
where
    T: Send + 'static,
    Work: FnOnce(mpsc::Sender<Result<T, Status>>) -> Done,
    Done: Future<Output = Result<(), Status>> + Send + 'static,
{
    let (answers, receiver) = mpsc::channel(ANSWERS_AHEAD_MAX);
    let done = work(answers.clone());
    // Ends with its work or with its client: every send fails after that.
    tokio::spawn(async move {
        if let Err(status) = done.await {
            let _ = answers.send(Err(status)).await;
        }
    });
    Response::new(ReceiverStream::new(receiver))
}

fn number(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}

#[starling_wire::grpc::async_trait]
impl Admin for Service {
    type ListAccountsStream = Answers<ListAccountsResponse>;
    type ImportAccountsStream = Answers<ImportAccountsResponse>;
    type ListSessionsStream = Answers<ListSessionsResponse>;
    type BackupStream = Answers<BackupResponse>;

    async fn add_account(
        &self,
        request: Request<AddAccountRequest>,
    ) -> Result<Response<AddAccountResponse>, Status> {
        let new = request.into_inner().account.unwrap_or_default();
        let account = self.address(&new.account)?;
        let verifiers = self.verifiers(new.secret).await?;
        let added = self.administration.add(account.clone(), verifiers).await;
        added.map_err(|error| status::of(&error))?;
        tracing::info!(%account, "account added");
        let account = account.to_string();
        Ok(Response::new(AddAccountResponse { account }))
    }

    async fn set_password(
        &self,
        request: Request<SetPasswordRequest>,
    ) -> Result<Response<SetPasswordResponse>, Status> {
        let request = request.into_inner();
        let account = self.address(&request.account)?;
        let secret = Some(Secret::Password(request.password));
        let verifiers = self.verifiers(secret).await?;
        let set = self.administration.set_verifiers(&account, verifiers).await;
        set.map_err(|error| status::of(&error))?;
        tracing::info!(%account, "password replaced");
        let account = account.to_string();
        Ok(Response::new(SetPasswordResponse { account }))
    }

    async fn list_accounts(
        &self,
        request: Request<ListAccountsRequest>,
    ) -> Result<Response<Self::ListAccountsStream>, Status> {
        let service = self.clone();
        let request = request.into_inner();
        Ok(stream(|answers| service.list(request, answers)))
    }

    async fn show_account(
        &self,
        request: Request<ShowAccountRequest>,
    ) -> Result<Response<ShowAccountResponse>, Status> {
        let account = self.address(&request.into_inner().account)?;
        let shown = self.administration.show(&account).await;
        let shown = shown.map_err(|error| status::of(&error))?;
        Ok(Response::new(ShowAccountResponse {
            account: Some(convert::account(&shown.account)),
            sessions: shown.sessions.iter().map(convert::session).collect(),
            roster_items: number(shown.roster_items),
            offline_messages: u32::try_from(shown.offline_messages).unwrap_or(u32::MAX),
        }))
    }

    async fn set_account_enabled(
        &self,
        request: Request<SetAccountEnabledRequest>,
    ) -> Result<Response<SetAccountEnabledResponse>, Status> {
        let request = request.into_inner();
        let account = self.address(&request.account)?;
        let ended = self
            .administration
            .set_enabled(&account, request.is_enabled)
            .await;
        let ended = ended.map_err(|error| status::of(&error))?;
        tracing::info!(%account, is_enabled = request.is_enabled, "account changed");
        Ok(Response::new(SetAccountEnabledResponse {
            account: account.to_string(),
            sessions_ended: number(ended),
        }))
    }

    async fn set_archive(
        &self,
        request: Request<SetArchiveRequest>,
    ) -> Result<Response<SetArchiveResponse>, Status> {
        archive::set(&self.administration, request.into_inner()).await
    }

    async fn remove_account(
        &self,
        request: Request<RemoveAccountRequest>,
    ) -> Result<Response<RemoveAccountResponse>, Status> {
        let account = self.address(&request.into_inner().account)?;
        let ended = self.administration.remove(&account).await;
        let ended = ended.map_err(|error| status::of(&error))?;
        tracing::info!(%account, "account removed");
        Ok(Response::new(RemoveAccountResponse {
            account: account.to_string(),
            sessions_ended: number(ended),
        }))
    }

    async fn import_accounts(
        &self,
        request: Request<Streaming<ImportAccountsRequest>>,
    ) -> Result<Response<Self::ImportAccountsStream>, Status> {
        let cores = Arc::clone(&self.cores);
        let import = Import::new(self.administration.clone(), self.passwords.clone(), cores);
        let requests = request.into_inner();
        Ok(stream(|answers| async move {
            import.run(requests, answers).await;
            Ok(())
        }))
    }

    async fn list_sessions(
        &self,
        request: Request<ListSessionsRequest>,
    ) -> Result<Response<Self::ListSessionsStream>, Status> {
        let ListSessionsRequest { of, limit } = request.into_inner();
        let limit = match limit {
            0 => usize::MAX,
            limit => usize::try_from(limit).unwrap_or(usize::MAX),
        };
        let found = self.administration.sessions(&of, limit).await;
        let found = found.map_err(|error| status::of(&error))?;
        Ok(stream(|answers| async move {
            for page in found.chunks(PAGE_ITEMS) {
                let sessions = page.iter().map(convert::session).collect();
                let answer = ListSessionsResponse { sessions };
                if answers.send(Ok(answer)).await.is_err() {
                    break;
                }
            }
            Ok(())
        }))
    }

    async fn kick_session(
        &self,
        request: Request<KickSessionRequest>,
    ) -> Result<Response<KickSessionResponse>, Status> {
        let jid = request.into_inner().jid;
        let ended = self.administration.kick(&jid).await;
        let ended = ended.map_err(|error| status::of(&error))?;
        tracing::info!(%jid, ended, "sessions ended by an administrator");
        let sessions_ended = number(ended);
        Ok(Response::new(KickSessionResponse { sessions_ended }))
    }

    async fn get_status(
        &self,
        _: Request<GetStatusRequest>,
    ) -> Result<Response<GetStatusResponse>, Status> {
        let (counts, readiness, store, answers) = tokio::join!(
            self.administration.counts(),
            self.checks.ask(),
            self.administration.store_health(),
            self.administration.tallies(),
        );
        let is_silent = |answer: &&starling_api::Answer| answer.tally.is_err();
        let silent_nodes = answers.iter().filter(is_silent);
        let silent_nodes = silent_nodes.map(|answer| answer.node.clone()).collect();
        let tallies = answers
            .iter()
            .filter_map(|answer| answer.tally.as_ref().ok());
        let sessions = tallies.map(|tally| tally.sessions).sum();
        let facts = &self.facts;
        let hosts = counts.into_iter().map(|count| {
            let certificate = facts.certificate(&count.host);
            let ends_at = certificate.and_then(|certificate| certificate.ends_at);
            HostStatus {
                host: count.host,
                accounts: count.accounts,
                is_self_signed: certificate.is_some_and(|certificate| certificate.is_self_signed),
                certificate_ends_at_ms: ends_at.map_or(0, |ends| ends.0),
            }
        });
        let listeners = facts.listeners.iter().map(|listener| Listener {
            protocol: listener.protocol.into(),
            address: listener.address.clone(),
        });
        Ok(Response::new(GetStatusResponse {
            version: env!("CARGO_PKG_VERSION").into(),
            node: facts.node.clone(),
            started_at_ms: facts.started_at.0,
            hosts: hosts.collect(),
            sessions,
            silent_nodes,
            listeners: listeners.collect(),
            data_folder: facts.data_folder.display().to_string(),
            is_draining: facts.is_draining(),
            is_ready: readiness.is_ready,
            checks: readiness.checks.into_iter().map(convert::finding).collect(),
            store: Some(convert::store(store)),
        }))
    }

    async fn backup(
        &self,
        request: Request<BackupRequest>,
    ) -> Result<Response<Self::BackupStream>, Status> {
        let path = PathBuf::from(request.into_inner().path);
        let administration = self.administration.clone();
        Ok(stream(|answers| {
            backup::write(administration, path, answers)
        }))
    }
}
