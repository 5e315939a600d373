//! The contract of every store, and of those that several nodes share.

use crate::database::fresh;

starling_store::contract_suite!(fresh().await);
starling_store::shared_contract_suite!(fresh().await);
