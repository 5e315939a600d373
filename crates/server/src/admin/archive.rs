//! The call about one user's archive: how long it is kept, and erasing it.

use starling_api::Administration;
use starling_wire::admin::v1::set_archive_request::Keep;
use starling_wire::admin::v1::{SetArchiveRequest, SetArchiveResponse};
use starling_wire::grpc::{Response, Status};

use super::status;

/// Does what is asked, and tells what holds then.
pub(super) async fn set(
    administration: &Administration,
    request: SetArchiveRequest,
) -> Result<Response<SetArchiveResponse>, Status> {
    let failed = |error| status::of(&error);
    let account = administration.address(&request.account).map_err(failed)?;
    let keep = match request.keep {
        None => None,
        Some(Keep::Days(days)) => Some(Some(days)),
        Some(Keep::AsHost(_)) => Some(None),
    };
    if let Some(days) = keep {
        let kept = administration.keep_archive(&account, days).await;
        kept.map_err(failed)?;
        tracing::info!(%account, ?days, "an archive is kept otherwise");
    }
    if request.erase {
        administration
            .erase_archive(&account)
            .await
            .map_err(failed)?;
        tracing::info!(%account, "archive erased by an administrator");
    }
    let keep_days = administration
        .archive_days(&account)
        .await
        .map_err(failed)?;
    Ok(Response::new(SetArchiveResponse {
        account: account.to_string(),
        keep_days,
    }))
}
