//! Accounts with many events, written through the store.

use cqrs::id::CommandId;
use cqrs::postgres::PostgresStore;
use cqrs::store::{Append, EventData, EventStore as _, ExpectedVersion, StreamId};

use crate::domain::{AccountOpened, MoneyDeposited};
use crate::ours::event::event;
use crate::point::BoxError;

pub(super) async fn fill(store: &PostgresStore, account_id: String, deposits: usize) -> Result<(), BoxError> {
    const AT_ONCE: usize = 1_000;
    let stream_id = StreamId::new(format!("account-{account_id}"))?;
    let opened = AccountOpened { account_id: account_id.clone(), owner: "Ada".to_owned() };
    append(store, &stream_id, 0, vec![event(&opened)?]).await?;
    let deposited = MoneyDeposited { account_id, amount: 1 };
    for first in (0..deposits).step_by(AT_ONCE) {
        let events = (first..deposits).take(AT_ONCE).map(|_| event(&deposited)).collect::<Result<_, _>>()?;
        append(store, &stream_id, first as u64 + 1, events).await?;
    }
    Ok(())
}

async fn append(
    store: &PostgresStore,
    stream_id: &StreamId,
    version: u64,
    events: Vec<EventData>,
) -> Result<(), BoxError> {
    let expected = ExpectedVersion::Exact(version);
    store.append(Append::to_stream(CommandId::new(), stream_id.clone(), expected, events)).await?;
    Ok(())
}
