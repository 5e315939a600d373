//! From our errors to gRPC status. The message stays the sentence it is.

use starling_api::Error;
use starling_wire::grpc::Status;

/// The status of an error.
pub(super) fn of(error: &Error) -> Status {
    let message = error.to_string();
    match error {
        Error::NoAccount(_) | Error::NoSession(_) => Status::not_found(message),
        Error::Exists(_) => Status::already_exists(message),
        Error::Address { .. } | Error::NotServed { .. } => Status::invalid_argument(message),
        Error::Late { .. } => Status::deadline_exceeded(message),
        Error::Listen { .. } => Status::internal(message),
        Error::Silent { .. } => Status::unavailable(message),
        Error::Refused(_) => Status::failed_precondition(message),
        Error::Link(error) => match error {
            starling_link::Error::Unavailable | starling_link::Error::ShuttingDown => {
                Status::unavailable(message)
            }
            starling_link::Error::NoAccount => Status::not_found(message),
            starling_link::Error::Stale => Status::aborted(message),
            starling_link::Error::Store(_) => Status::internal(message),
        },
        Error::Store(error) => match error {
            starling_store::Error::Unavailable { .. } => Status::unavailable(message),
            starling_store::Error::Full { .. } => Status::resource_exhausted(message),
            starling_store::Error::Refused { .. } => Status::failed_precondition(message),
            starling_store::Error::Corrupt { .. } => Status::data_loss(message),
            starling_store::Error::Failed { .. } => Status::internal(message),
        },
    }
}
