//! Events read and decoded by hand.

use serde_json::from_str;
use sqlx::PgPool;

use crate::domain::{AccountOpened, BankAccount, MoneyDeposited, MoneyWithdrawn};
use crate::point::BoxError;
use crate::postgres::{CatchUp, Database, Fill, OnPostgres, Rehydrate};
use crate::raw::table::{self, COUNT, Row};

const READ_STREAM: &str = r"
SELECT version, event_type, data::text
FROM events
WHERE stream_id = $1
ORDER BY version
";

const READ_LOG: &str = r"
SELECT position, event_type, data::text
FROM events
WHERE position > $1
ORDER BY position
LIMIT 1000
";

#[derive(Clone, Debug)]
pub(crate) struct Read {
    pool: PgPool,
}

enum Event {
    Opened(AccountOpened),
    Deposited(MoneyDeposited),
    Withdrawn(MoneyWithdrawn),
}

impl Event {
    fn decode(event_type: &str, data: &str) -> Result<Self, BoxError> {
        match event_type {
            "AccountOpened" => Ok(Self::Opened(from_str(data)?)),
            "MoneyDeposited" => Ok(Self::Deposited(from_str(data)?)),
            "MoneyWithdrawn" => Ok(Self::Withdrawn(from_str(data)?)),
            unknown => Err(format!("no event has the type {unknown:?}").into()),
        }
    }
}

impl OnPostgres for Read {
    const COUNT: &'static str = COUNT;

    async fn set_up(database: &Database) -> Result<Self, BoxError> {
        let pool = database.pool(1).await?;
        table::create(&pool).await?;
        Ok(Self { pool })
    }
}

impl Fill for Read {
    async fn fill(&self, account_id: String, deposits: usize) -> Result<(), BoxError> {
        let stream_id = format!("account-{account_id}");
        let opened = AccountOpened { account_id: account_id.clone(), owner: "Ada".to_owned() };
        let opened = serde_json::to_string(&opened)?.into();
        let mut rows = vec![Row::new(stream_id.clone(), 1, "AccountOpened", opened)];
        let deposited = serde_json::to_string(&MoneyDeposited { account_id, amount: 1 })?.into();
        let deposited = Row::new(stream_id, 1, "MoneyDeposited", deposited);
        for version in (2..).take(deposits) {
            rows.push(Row { version, ..deposited.clone() });
        }
        table::insert_many(&self.pool, &rows).await
    }
}

impl Rehydrate for Read {
    async fn rehydrate(&self, account_id: String) -> Result<u64, BoxError> {
        let stream_id = format!("account-{account_id}");
        let rows: Vec<(i64, String, String)> =
            sqlx::query_as(READ_STREAM).bind(stream_id).fetch_all(&self.pool).await?;
        let mut account = BankAccount::default();
        for (_version, event_type, data) in rows {
            match Event::decode(&event_type, &data)? {
                Event::Opened(event) => account.opened(&event),
                Event::Deposited(event) => account.deposited(&event),
                Event::Withdrawn(event) => account.withdrawn(&event),
            }
        }
        Ok(account.balance())
    }
}

impl CatchUp for Read {
    async fn catch_up(&self, _handler: String, events: usize) -> Result<(), BoxError> {
        let (mut seen, mut position) = (0, 0);
        while seen < events {
            let page: Vec<(i64, String, String)> =
                sqlx::query_as(READ_LOG).bind(position).fetch_all(&self.pool).await?;
            for (at, event_type, data) in page {
                std::hint::black_box(Event::decode(&event_type, &data)?);
                position = at;
                seen += 1;
            }
        }
        Ok(())
    }
}
