//! The read model in tables of a Postgres database.

use std::error::Error;

use cqrs::postgres::PostgresRows;
use cqrs::postgres::sqlx::{self, AssertSqlSafe, PgConnection};
use cqrs::prelude::*;
use uuid::Uuid;

use crate::domain::Sold;
use crate::story;

/// How many pieces of each product were sold.
pub struct Sales {
    rows: PostgresRows,
}

#[projection(name = "sales", interested_in = [Sold], version = 1)]
impl Sales {
    fn rows(&self) -> &PostgresRows {
        &self.rows
    }

    async fn create(&self, rows: &mut PgConnection) -> Result<(), sqlx::Error> {
        let create = "create table sales (product text primary key, pieces bigint not null)";
        sqlx::raw_sql(create).execute(rows).await.map(drop)
    }

    async fn on_sold(&self, event: &Sold, rows: &mut PgConnection) -> Result<(), sqlx::Error> {
        let upsert = "insert into sales as s values ($1, $2) \
                      on conflict (product) do update set pieces = s.pieces + excluded.pieces";
        let upsert = sqlx::query(upsert).bind(event.product.clone()).bind(i64::from(event.pieces));
        upsert.execute(rows).await.map(drop)
    }
}

/// The next version counts the sales as well, and writes many at a time. Each product has a row of its own, so that products
/// are rebuilt side by side, on four connections.
pub struct SalesWithCounts {
    rows: PostgresRows,
}

#[projection(name = "sales", events = Sold, version = 2, rebuild_partitions = 4)]
impl SalesWithCounts {
    fn rows(&self) -> &PostgresRows {
        &self.rows
    }

    async fn create(&self, rows: &mut PgConnection) -> Result<(), sqlx::Error> {
        let create =
            "create table sales (product text primary key, pieces bigint not null, sales bigint not null)";
        sqlx::raw_sql(create).execute(rows).await.map(drop)
    }

    async fn on_batch(&self, events: &[Projected<Sold>], rows: &mut PgConnection) -> Result<(), sqlx::Error> {
        let products: Vec<_> = events.iter().map(|sold| sold.product.clone()).collect();
        let pieces: Vec<_> = events.iter().map(|sold| i64::from(sold.pieces)).collect();
        let upsert = "insert into sales as s \
                      select product, sum(pieces), count(*) from unnest($1::text[], $2::bigint[]) u(product, pieces) \
                      group by product order by product \
                      on conflict (product) do update set pieces = s.pieces + excluded.pieces, sales = s.sales + excluded.sales";
        sqlx::query(upsert).bind(products).bind(pieces).execute(rows).await.map(drop)
    }
}

pub async fn run(url: &str, events: u64) -> Result<(), Box<dyn Error>> {
    let schema = format!("shop_{}", &Uuid::new_v4().simple().to_string()[..8]);
    let store = PostgresStore::connect(PostgresConfig::new(url).schema(schema.as_str())).await?;
    let rows = PostgresRows::beside(&store);
    let (old, new) = (Sales { rows: rows.clone() }, SalesWithCounts { rows: rows.clone() });
    let table = format!("{}.sales", rows.schema_of("sales"));
    let look = async || {
        let sql = format!("select to_jsonb(s)::text from {table} s order by product limit 2");
        Ok(sqlx::query_scalar(AssertSqlSafe(sql)).fetch_all(rows.pool()).await?)
    };
    let told = story::tell(store.clone(), events, old, new, look).await;
    store.pool().drop_schema(schema.as_str()).await?;
    for schema in [rows.schema_of("sales"), format!("{schema}_views")] {
        store.pool().drop_schema(schema).await?;
    }
    store.pool().close().await;
    told
}
